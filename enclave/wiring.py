"""Builds the real tools from the settings and hands them to whoever tells a journey."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from anonymisation.ledger import Ledger
from enclave.accounts.store import AccountStore
from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.objections import ObjectionBook
from enclave.agreements.store import AgreementStore
from enclave.house import open_house
from enclave.journeys.caps import NewCap
from enclave.journeys.compaction import CompactTools
from enclave.journeys.intake import IntakeTools
from enclave.journeys.keys import KeyTools
from enclave.journeys.ledger_guard import LedgerGuard
from enclave.journeys.objection import ObjectionTools
from enclave.journeys.objection_list import FOLDER as OBJECTIONS
from enclave.journeys.objection_list import Listed, Said, TakenBack
from enclave.journeys.question import Desk
from enclave.journeys.running import Running
from enclave.journeys.slots import Slots
from enclave.local_http import LocalService
from enclave.passphrase import (
    HandedOver,
    check_opens,
    first_passphrase,
    hand_over,
    keyring_file,
    known_passphrase,
    sealed_keys,
)
from enclave.people import Role
from enclave.recorder_client import RecorderClient
from enclave.recording import Denials, Visitor
from enclave.release.folder import ReleaseFolder
from enclave.release.store import ReleaseStore
from enclave.sessions import Sessions
from enclave.settings import Settings, key_environment
from enclave.shelf_rewriter import rewrite_apart
from vault.envelope import seal, unseal
from vault.keyring import create_keyring, open_keyring
from vault.keys import KeyService, Rights
from vault.manifest import version_folder
from vault.sealed_list import SealedLists
from vault.warm import WarmColumns

if TYPE_CHECKING:
    from enclave.desks import FrontDesk
    from enclave.journeys.statement import BooksOfTheHouse

# A first question waits for opendp's import (about 5 s on a cold disk) and for the shelf.
ENGINE_SECONDS = 300.0


@dataclass(frozen=True)
class Stores:
    """The house's books."""

    engine: Engine
    accounts: AccountStore
    agreements: AgreementStore
    releases: ReleaseStore


def open_stores(settings: Settings) -> Stores:
    """Open `house.db`."""
    engine = open_house(settings.state / "house.db")
    return Stores(engine, AccountStore(engine), AgreementStore(engine), ReleaseStore(engine))


def recorder(settings: Settings, service: str) -> RecorderClient:
    """Give a process its way to the trail, under its own name."""
    return RecorderClient(settings.socket("recorder"), service, settings.trail.timeout_seconds)


def open_keys(settings: Settings, rights: Rights) -> KeyService:
    """Open the key service for one process and no more than its rights.

    Raises what `known_passphrase` raises without a passphrase, and what `key_login` raises without credentials; a key service on
    another machine is asked at the first use of a key.
    """
    if settings.keys.service == "openbao":
        # its client takes a sixth of a second to load: not at the expense of a house without one
        from enclave.key_login import key_login, key_server
        from vault.openbao import Connection
        from vault.transit import TransitKeys

        server = key_server(settings.keys)
        login = key_login(settings.keys, server, rights.name.lower())
        return TransitKeys(Connection(server, login), rights, settings.keys.mount)
    return open_keyring(keyring_file(settings), known_passphrase(settings), rights)


def prepare_state(settings: Settings) -> bytes:
    """Lay out the state folder, and make the keyring where there is none yet; gives the passphrase, tried on every key.

    Raises what `known_passphrase` and `check_opens` raise, before anything is made.
    """
    for name in (
        "",
        "keys",
        "logs",
        "trail",
        "shelves",
        "quarantine",
        OBJECTIONS,
        "inbox",
        "workspaces",
        "releases",
        "hub",
    ):
        (settings.state / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    # with a key service elsewhere the passphrase still opens the trail's key
    passphrase = known_passphrase(settings) if sealed_keys(settings) else first_passphrase(settings)
    check_opens(settings, passphrase)
    keyring = keyring_file(settings)
    if settings.keys.service == "keyring" and not keyring.exists():
        create_keyring(keyring, passphrase)
    return passphrase


def engine_desk(settings: Settings) -> Desk:
    """Give the engine its ledger, keys and shelves; closes what a crash left open in the trail."""
    trail = recorder(settings, "engine")
    trail.close_interrupted()
    keys = open_keys(settings, Rights.ENGINE)
    warm = WarmColumns(settings.warm.seconds, settings.warm.megabytes << 20)
    running = Running(Slots(settings.answers.slot_seconds))
    ledger = Ledger.open(settings.state / "ledger.db")
    return Desk(settings.state / "shelves", ledger, keys, trail, warm, running=running)


def ledger_guard(settings: Settings, ledger: Ledger) -> LedgerGuard:
    """Give what compares the engine's ledger with the trail."""
    return LedgerGuard(recorder(settings, "engine"), ledger, settings.state / "shelves")


class EngineCaps:
    """The caps, declared and set through the engine: nobody else writes the ledger."""

    def __init__(self, settings: Settings) -> None:
        self._engine = LocalService("engine", settings.socket("engine"), ENGINE_SECONDS)

    def declare_population(self, population: str, cap_rho_micro: int, visitor: Visitor) -> None:
        """Give a population its cap if it has none yet."""
        actor = vars(visitor.acting_as(*visitor.person.roles))
        body: dict[str, Any] = {"population": population, "cap": cap_rho_micro, "actor": actor}
        self._engine.call("POST", "/v1/population", body)

    def population(self, population: str) -> dict[str, Any]:
        """Give a population's caps and charges."""
        return self._engine.call("GET", f"/v1/populations/{population}")

    def reenter(self, visitor: Visitor) -> int:
        """Have what the ledger lost entered again from the trail; gives how many charges and caps."""
        actor = vars(visitor.acting_as(Role.SENIOR_STEWARD))
        return int(self._engine.call("POST", "/v1/reenter", {"actor": actor})["entered"])

    def set_cap(self, cap: NewCap, visitor: Visitor) -> None:
        """Set a cap; the engine records the change before it makes it."""
        actor = vars(visitor.acting_as(Role.SENIOR_STEWARD, Role.STEWARD))
        self._engine.call("POST", "/v1/caps", {**vars(cap), "actor": actor})


class EngineEar:
    """The engine as it hears of an objection: it alone learns who."""

    def __init__(self, settings: Settings) -> None:
        self._engine = LocalService("engine", settings.socket("engine"), ENGINE_SECONDS)

    def record(self, said: Said, known: Collection[str], visitor: Visitor) -> Listed:
        """Have the person put on the list; raises `ComponentDown` when the engine does not answer."""
        return Listed(**self._tell("/v1/objections", said, visitor, known=list(known)))

    def withdraw(self, said: Said, visitor: Visitor) -> TakenBack:
        """Have a record taken back; raises `ComponentDown` when the engine does not answer."""
        told = self._tell("/v1/objections/withdraw", said, visitor)
        return TakenBack(told["entry"], tuple(told["also"]))

    def _tell(self, path: str, said: Said, visitor: Visitor, **more: Any) -> dict[str, Any]:
        body = {"said": vars(said), "actor": vars(visitor.acting_as(Role.DPO)), **more}
        return self._engine.call("POST", path, body)


class EngineMemory:
    """What the engine keeps in memory of a dataset."""

    def __init__(self, settings: Settings) -> None:
        self._engine = LocalService("engine", settings.socket("engine"), ENGINE_SECONDS)

    def forget(self, dataset: str) -> None:
        """Have it dropped; raises `ComponentDown` when the engine does not answer."""
        self._engine.call("POST", "/v1/forget", {"dataset": dataset})


def intake_tools(settings: Settings, stores: Stores) -> IntakeTools:
    """Give the intake what it needs: keys that wrap and never unwrap; closes what a crash of an intake left open."""
    trail = recorder(settings, "intake")
    trail.close_interrupted()
    return IntakeTools(
        root=settings.state / "shelves",
        quarantine=settings.state / "quarantine",
        inbox=settings.state / "inbox",
        agreements=stores.agreements,
        recorder=trail,
        keys=open_keys(settings, Rights.INTAKE),
        caps=EngineCaps(settings),
        buckets=settings.intake.buckets,
        bad_rows_max_percent=settings.intake.bad_rows_max_percent,
        unpacked_bytes_max=settings.intake.unpacked_gb_max * 10**9,
    )


def key_tools(settings: Settings, stores: Stores) -> KeyTools:
    """Give the operator what keys are cared for with: keys that rewrap and destroy, and never unwrap."""
    return KeyTools(
        root=settings.state / "shelves",
        quarantine=settings.state / "quarantine",
        objections=SealedLists(settings.state / OBJECTIONS),
        agreements=stores.agreements,
        backups=KeyBackups(stores.engine),
        recorder=recorder(settings, "command-line"),
        keys=open_keys(settings, Rights.OPERATOR),
        forget=EngineMemory(settings).forget,
    )


def objection_tools(settings: Settings, stores: Stores) -> ObjectionTools:
    """Give the data protection officer what objections are recorded with; no key."""
    return ObjectionTools(
        agreements=stores.agreements,
        book=ObjectionBook(stores.engine),
        backups=KeyBackups(stores.engine),
        recorder=recorder(settings, "command-line"),
        engine=EngineEar(settings),
        on_disk=lambda dataset, version: version_folder(
            settings.state / "shelves", dataset, version
        ).exists(),
    )


def compact_tools(settings: Settings, stores: Stores) -> CompactTools:
    """Give the operator what a dataset is compacted with; closes what a crash of a compaction left open."""
    trail = recorder(settings, "compaction")
    trail.close_interrupted()
    care = key_tools(settings, stores)
    handed = _handed_over(settings)
    return CompactTools(
        care=care,
        book=ObjectionBook(stores.engine),
        recorder=trail,
        rewrite=partial(
            rewrite_apart, environment=key_environment(handed.settings), descriptors=handed.descriptors
        ),
    )


def _handed_over(settings: Settings) -> HandedOver:
    """Let the processes of shelves open the keyring; a key service elsewhere asks them for their own credentials."""
    if settings.keys.service == "openbao":
        return HandedOver(settings)
    return hand_over(settings, known_passphrase(settings))


def release_folder(settings: Settings, keys: KeyService) -> ReleaseFolder:
    """Give the folder of files that ask to leave; each is sealed under a key of its own name."""

    def key_of(name: str) -> bytes:
        return keys.mac("release", name.encode())

    return ReleaseFolder(
        settings.state / "releases",
        lambda content, name: seal(key_of(name), name, content),
        lambda sealed, name: unseal(key_of(name), name, sealed),
    )


def books_of_the_house(
    settings: Settings, stores: Stores, trail: RecorderClient, keys: KeyService | None = None
) -> "BooksOfTheHouse":
    """Give what an auditor compares the trail with; packages are looked at with the publisher's keys."""
    from enclave.journeys.statement import BooksOfTheHouse  # few processes state them

    def publisher() -> tuple[ReleaseFolder, KeyService]:
        opened = open_keys(settings, Rights.PUBLISHER) if keys is None else keys
        return release_folder(settings, opened), opened

    return BooksOfTheHouse(
        recorder=trail,
        engine=LocalService("engine", settings.socket("engine"), ENGINE_SECONDS),
        house=stores.engine,
        publisher=publisher,
        shelves=settings.state / "shelves",
        hub=settings.state / "hub" / "hub.sqlite",
    )


def front_desk(
    settings: Settings,
    *,
    listen: Callable[[Path], None],
    hang_up: Callable[[Path], None],
    service: str = "service",
) -> "FrontDesk":
    """Build the service's desk: house book, trail, engine, publisher's keys, notebook sessions."""
    from enclave.desks import FrontDesk  # the engine and the intake need neither pages nor release checks

    stores, trail = open_stores(settings), recorder(settings, service)
    keys = open_keys(settings, Rights.PUBLISHER)
    return FrontDesk(
        settings=settings,
        accounts=stores.accounts,
        agreements=stores.agreements,
        releases=stores.releases,
        files=release_folder(settings, keys),
        keys=keys,
        recorder=trail,
        denials=Denials(trail),
        engine=LocalService("engine", settings.socket("engine"), ENGINE_SECONDS),
        sessions=Sessions(settings, trail, listen, hang_up),
        books=books_of_the_house(settings, stores, trail, keys),
    )
