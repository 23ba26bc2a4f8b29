"""A whole house in a folder: intake, engine, keys and trail, with people who object; opened again after a crash."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from anonymisation import answer as answering
from anonymisation import profile
from anonymisation.ledger import Ledger
from anonymisation.pseudonym import canonical, unit_numbers
from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.objections import ObjectionBook, ObjectionKind
from enclave.agreements.words import Dataset
from enclave.journeys.compaction import (
    RIGHTS,
    Compacted,
    CompactTools,
    RewriteTools,
    ShelfDone,
    ShelfJob,
    compact,
    rewrite,
)
from enclave.journeys.intake import UNIT_KEY_LABEL
from enclave.journeys.keys import KeyTools, left_on_disk
from enclave.journeys.objection import Acknowledged, ObjectionTools, Reinstated, record, withdraw
from enclave.journeys.objection_list import Listed, Said, TakenBack
from enclave.journeys.question import Desk, Order
from enclave.people import Person, Role
from enclave.recording import Actor, Visitor
from tests.unit.intake.intake_house import IntakeHouse, csv, intake_house, nir, opened, row
from vault.keys import Rights
from vault.sealed_list import SealedLists
from vault.version import clean_partials
from vault.warm import WarmColumns

OPERATOR = Visitor(Person("operator-a", frozenset({Role.OPERATOR})))
DPO = Visitor(Person("dpo-a", frozenset({Role.DPO})))
STEWARD = Actor("steward-a", "person", "steward")
ROWS = 60
POPULATION = "inhabitants"


class Seen:
    """What the statistics are handed: the rows of the parts, before anything is bounded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = pl.DataFrame()
        for module in (answering, profile):
            monkeypatch.setattr(module, "compute", self._spied(module.compute))

    def _spied(self, compute: Any) -> Any:
        def spied(asked: Any, table: Any, parts: Any, *rest: Any, **more: Any) -> Any:
            self.rows = pl.concat([part.collect() for part in parts])
            return compute(asked, table, parts, *rest, **more)

        def spied_profile(table: Any, rho: int, parts: Any, *rest: Any) -> Any:
            self.rows = pl.concat([part.collect() for part in parts])
            return compute(table, rho, parts, *rest)

        return spied_profile if compute is profile.compute else spied


@dataclass(frozen=True)
class Ear:
    """The engine in the same process."""

    desk: Desk

    def record(self, said: Said, known: Collection[str], visitor: Visitor) -> Listed:
        return self.desk.objections.record(said, known, visitor.acting_as(Role.DPO))

    def withdraw(self, said: Said, visitor: Visitor) -> TakenBack:
        return self.desk.objections.withdraw(said, visitor.acting_as(Role.DPO))


@dataclass
class ObjectingHouse:
    """The house, its engine's desk, and whom to tell an objection."""

    intake: IntakeHouse
    desk: Desk
    objections: ObjectionTools
    compaction: CompactTools
    forgotten: list[str] = field(default_factory=list)
    today: date = date(2026, 11, 25)

    @property
    def root(self) -> Path:
        return self.intake.tools.root

    def bring(self, rows: int = ROWS, *bad: tuple[str, ...]) -> None:
        source = self.intake.file(csv([*(row(number) for number in range(rows)), *bad]))
        self.intake.bring(source)
        self.desk.declare_population(POPULATION, 10_000_000, STEWARD)

    def object(self, identifier: str, kind: ObjectionKind = ObjectionKind.OBJECTION) -> Acknowledged:
        return record(self.objections, DPO, POPULATION, kind, identifier)

    def withdraw(self, reference: str, identifier: str) -> Reinstated:
        return withdraw(self.objections, DPO, reference, identifier)

    def compact(self, progress: Callable[[str, int, int], None] = lambda *_: None) -> Compacted:
        return compact(self.compaction, OPERATOR, "stays", progress)

    def about(self) -> Dataset:
        return self.intake.tools.agreements.dataset("stays")

    def order(self, question: dict[str, Any] | None = None, **changes: Any) -> Order:
        about = self.about()
        usual: dict[str, Any] = {
            "person": "researcher-a",
            "role": "researcher",
            "auth": "password",
            "project": "cardio",
            "agreement": "agreement-a",
            "dataset": "stays",
            "version": about.version,
            "manifest_sha256": about.manifest_sha256,
            "policy_yaml": about.policy_yaml,
            "project_cap": 5_000_000,
            "person_cap": 5_000_000,
            "objections": about.objections,
            "question": question,
        }
        return Order(**usual | changes)

    def spent(self) -> int:
        return self.desk.ledger.left(POPULATION, "", "").population.spent

    def held(self, shelf: str) -> pl.DataFrame:
        """Read a shelf of the current version as its own reader does."""
        version = self.about().version
        assert version is not None
        return self.intake.shelf(shelf, version)

    def close(self) -> None:
        self.desk.ledger.close()
        self.intake.recorder.close()


def objecting_house(state: Path, keyring: Path) -> ObjectingHouse:
    """Lay it out, or open it again after a crash."""
    state.mkdir(exist_ok=True)
    house = intake_house(state, keyring)
    (trail, agreements, root) = (house.recorder, house.tools.agreements, house.tools.root)
    clean_partials(root)
    keys = {rights: opened(keyring, rights) for rights in Rights}
    ledger = Ledger.open(state / "ledger.db")
    desk = Desk(root, ledger, keys[Rights.ENGINE], trail, WarmColumns(600, 64 << 20))
    book, backups = ObjectionBook(agreements._engine), KeyBackups(agreements._engine)
    lists = SealedLists(state / "objections")

    def rewrite_here(job: ShelfJob, progress: Any) -> ShelfDone:
        tools = RewriteTools(root, lists, trail, keys[RIGHTS[job.shelf]])
        return rewrite(tools, job, lambda done, of: progress(job.shelf, done, of))

    made = ObjectingHouse(house, desk, None, None)  # type: ignore[arg-type]
    care = KeyTools(
        root=root,
        quarantine=house.tools.quarantine,
        objections=lists,
        agreements=agreements,
        backups=backups,
        recorder=trail,
        keys=keys[Rights.OPERATOR],
        forget=made.forgotten.append,
        today=lambda: made.today,
    )
    made.objections = ObjectionTools(
        agreements,
        book,
        backups,
        trail,
        Ear(desk),
        lambda dataset, version: left_on_disk(care, dataset, version),
        today=lambda: made.today,
    )
    made.compaction = CompactTools(care, book, trail, rewrite_here)
    return made


def unit_of(house: ObjectingHouse, person: int) -> int:
    """Give the unit number of a made-up person."""
    key = opened(house.intake.keyring, Rights.INTAKE).mac("unit", f"{UNIT_KEY_LABEL}nir".encode())
    return int(unit_numbers(canonical(pl.Series([nir(person)]), "nir").values, key)[0])


def every_byte(folder: Path) -> bytes:
    """Give all bytes below a folder, file after file."""
    return b"".join(
        (Path(at) / name).read_bytes() for at, _, names in os.walk(folder) for name in sorted(names)
    )
