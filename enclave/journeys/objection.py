"""Objection: a patient says no. At once no new question counts them; the next compaction removes them.

Two halves in two processes. The house gives a reference and knows how many there are; the engine alone knows who, as
unit numbers in a list it seals. Nothing here tells whether a person is in the data.
"""

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol

import polars as pl

from anonymisation.bounds import UNIT
from anonymisation.pseudonym import canonical, unit_numbers
from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.objections import Objection, ObjectionBook, ObjectionKind
from enclave.agreements.policy import ROW_UNIT, load_policy
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset, DatasetVersion
from enclave.errors import BadInput, Damaged, NotFound
from enclave.journeys.intake import UNIT_KEY_LABEL
from enclave.people import Role
from enclave.recording import Actor, EventObject, Recorder, Visitor, recorded
from vault.keys import KeyService
from vault.receipt import Receipt
from vault.sealed_list import SealedLists

FOLDER: Final = "objections"  # in the state folder, beside the shelves
RECORDS: Final = frozenset({Role.DPO})
READS: Final = frozenset({Role.DPO, Role.AUDITOR, Role.OPERATOR})
REFERENCE_BYTES: Final = 6
ID_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")  # as a policy writes it: no identifier by mistake


# --- the engine's half


@dataclass(frozen=True)
class Objections:
    """Who objected, as the engine knows it: unit numbers by identifier type, sealed, a list a population."""

    lists: SealedLists
    keys: KeyService
    recorder: Recorder

    def record(self, population: str, id_type: str, identifier: str, actor: Actor) -> None:
        """Put the person behind an identifier on their population's list; durable on return.

        Raises `BadInput` for an identifier that is none of its type. The identifier goes no further than here.
        """
        unit = self._unit(id_type, identifier)
        about = [EventObject("population", population)]
        with recorded(self.recorder, "data.objection", actor=actor, objects=about, reason="listed") as act:
            self.lists.append(population, {"id_type": id_type, "unit": unit}, self.keys, act.receipt)

    def units(self, population: str, id_type: str, at_least: int, receipt: Receipt) -> list[int]:
        """Give the units to leave out of a dataset that knows people by this type of identifier."""
        return units_on(self.lists.read(population, self.keys, receipt), population, id_type, at_least)

    def _unit(self, id_type: str, identifier: str) -> int:
        values = canonical(pl.Series([identifier]), id_type).values
        if values[0] is None:
            raise BadInput(
                "identifier_unreadable",
                f"What was given is no identifier of the type {id_type}.",
                "Check its digits and its key against the person's papers; nothing was recorded.",
                id_type=id_type,
            )
        key = self.keys.mac("unit", f"{UNIT_KEY_LABEL}{id_type}".encode())
        return int(unit_numbers(values, key)[0])


def units_on(entries: Sequence[dict[str, Any]], population: str, id_type: str, at_least: int) -> list[int]:
    """Give the units of one identifier type; raises `Damaged` for a list shorter than the house knows it was."""
    if len(entries) < at_least:
        raise Damaged(
            "objections_missing",
            f"The list of objections about {population} is shorter than what was recorded; no row is read.",
            "Restore the folder objections/ from the newest backup.",
            population=population,
        )
    return sorted({int(one["unit"]) for one in entries if one["id_type"] == id_type})


def without(parts: Sequence[pl.LazyFrame], units: Collection[int]) -> list[pl.LazyFrame]:
    """Leave units out of the parts of a shelf, before anything else is done with a row."""
    if not units:
        return list(parts)
    gone = pl.LazyFrame({UNIT: pl.Series(sorted(units), dtype=pl.UInt64)})
    return [part.join(gone, on=UNIT, how="anti", maintain_order="left") for part in parts]


# --- the house's half


class TellEngine(Protocol):
    """The engine's ear for objections."""

    def __call__(self, population: str, id_type: str, identifier: str, visitor: Visitor) -> None: ...


@dataclass(frozen=True)
class ObjectionTools:
    """What objections are recorded and followed with."""

    agreements: AgreementStore
    book: ObjectionBook
    backups: KeyBackups
    recorder: Recorder
    tell_engine: TellEngine
    on_disk: Callable[[str, int], bool]  # whether files of a version are still there
    today: Callable[[], date] = field(default=lambda: datetime.now(UTC).date())


@dataclass(frozen=True)
class Acknowledged:
    """What the person is told: a reference that says nothing, and which datasets know people by this identifier."""

    reference: str
    population: str
    id_type: str
    kind: str
    index: int
    reached: tuple[str, ...]
    not_reached: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """How far a dataset is: versions destroyed since, versions that wait for a compaction, backups of their keys."""

    dataset: str
    removed_from: tuple[int, ...]
    still_in: tuple[int, ...]
    backups: tuple[str, ...]

    @property
    def status(self) -> str:
        """`waits` for a compaction, `pending` until the last backup is gone, or `removed`."""
        if self.still_in:
            return "waits"
        return "pending" if self.backups else "removed"


@dataclass(frozen=True)
class Standing:
    """An objection today: refused to every new question since it was recorded, and removed or not yet."""

    reference: str
    population: str
    kind: str
    index: int
    datasets: tuple[Removal, ...]
    not_reached: tuple[str, ...]


def record(
    tools: ObjectionTools,
    visitor: Visitor,
    population: str,
    kind: ObjectionKind,
    identifier: str,
    id_type: str | None = None,
) -> Acknowledged:
    """Record that a person of a population objects, or wants to be erased; from now on no question counts them.

    `id_type` may be left out where the population's datasets know people by one. Raises `Refused` for anybody but
    the data protection officer, `NotFound` for a population no dataset is about, `BadInput` for an identifier type
    no dataset uses or an unreadable identifier.
    """
    has_role(visitor.person, RECORDS)
    datasets = _datasets_about(tools.agreements, population)
    chosen = _id_type(datasets, id_type)
    reference = new_reference()
    about = [EventObject("population", population)]
    actor = visitor.acting_as(*RECORDS)
    with recorded(tools.recorder, "data.objection", actor=actor, objects=about, reason=kind.value) as act:
        tools.tell_engine(population, chosen, identifier, visitor)
        tools.book.note(reference, population, chosen, kind, act.receipt)
    reached = tuple(one.id for one in datasets if id_type_of(one) == chosen)
    others = tuple(one.id for one in datasets if one.id not in reached)
    return Acknowledged(reference, population, chosen, kind.value, act.receipt.index, reached, others)


def standing(tools: ObjectionTools, visitor: Visitor, reference: str) -> Standing:
    """Say how far an objection is. Raises `NotFound` for an unknown reference."""
    has_role(visitor.person, READS)
    return _standing(tools, tools.book.of(reference.strip().lower()))


def standings(tools: ObjectionTools, visitor: Visitor) -> tuple[Standing, ...]:
    """Say how far every objection is, oldest first."""
    has_role(visitor.person, READS)
    return tuple(_standing(tools, one) for one in tools.book.all())


def new_reference() -> str:
    """Give a fresh reference, such as opp-3f9a-1c2b-7d04; it is drawn, not derived from anything."""
    drawn = secrets.token_hex(REFERENCE_BYTES)
    return "-".join(("opp", drawn[:4], drawn[4:8], drawn[8:]))


def id_type_of(about: Dataset | DatasetVersion) -> str | None:
    """Tell by which type of identifier a dataset knows people; None before its first file came in."""
    return load_policy(about.policy_yaml).unit.id_type if about.policy_yaml else None


def last_that_concerns(
    objections: Sequence[Objection], population: str, id_type: str | None
) -> Objection | None:
    """Give the newest objection a dataset of this population and identifier type must leave out."""
    found = [one for one in objections if (one.population, one.id_type) == (population, id_type)]
    return found[-1] if found else None


def _datasets_about(agreements: AgreementStore, population: str) -> list[Dataset]:
    found = [one for one in agreements.datasets() if one.population == population]
    if not found:
        raise NotFound(
            "no_such_population",
            f"No dataset is about {population}.",
            "See `enclave dataset list`.",
            population=population,
        )
    return found


def _id_type(datasets: Sequence[Dataset], wanted: str | None) -> str:
    used = sorted({known for one in datasets if (known := id_type_of(one)) and known != ROW_UNIT})
    chosen = used[0] if wanted is None and len(used) == 1 else wanted
    if chosen in used:
        return chosen
    if chosen and not used and chosen != ROW_UNIT and ID_TYPE.fullmatch(chosen):
        return chosen  # the population's first file is still to come
    raise BadInput(
        "id_type_needed",
        f"The datasets of this population know people by: {', '.join(used) or 'nothing yet'}.",
        "Give one of these with --id-type.",
        used=", ".join(used) or "-",
    )


def _standing(tools: ObjectionTools, one: Objection) -> Standing:
    datasets = _datasets_about(tools.agreements, one.population)
    reached = [dataset for dataset in datasets if _ever_known_by(tools.agreements, dataset.id, one.id_type)]
    return Standing(
        one.reference,
        one.population,
        one.kind.value,
        one.event_index,
        tuple(_removal(tools, dataset.id, one) for dataset in reached),
        tuple(dataset.id for dataset in datasets if dataset not in reached),
    )


def _ever_known_by(agreements: AgreementStore, dataset: str, id_type: str) -> bool:
    return any(id_type_of(version) == id_type for version in agreements.versions(dataset))


def _removal(tools: ObjectionTools, dataset: str, one: Objection) -> Removal:
    """Look at each version that could hold the person: shredded, compacted since, or neither."""
    clean = {version for version, until in tools.book.covered(dataset).items() if until >= one.number}
    could = [version for version in tools.agreements.versions(dataset) if version.version not in clean]
    shredded_at = tools.agreements.shredded_at(dataset)
    today = tools.today()
    # A destruction that was cut short left files, and may have left their keys: that is not removed yet
    left = tuple(one.version for one in could if not one.shredded or tools.on_disk(dataset, one.version))
    gone = tuple(one.version for one in could if one.version not in left)
    opening = {
        backup.id
        for backup in tools.backups.all()
        for version in gone
        if backup.opens(shredded_at[version], today)
    }
    return Removal(dataset, gone, left, tuple(sorted(opening)))
