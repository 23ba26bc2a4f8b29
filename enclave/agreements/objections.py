"""What the house knows of objections: a reference each, about which population, if it was taken back, what was compacted.

Each is known by its place in the engine's list, which only grows. Who objected is not in here: only the engine's sealed lists say so (`vault/sealed_list.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from enclave.errors import NotFound
from enclave.house_table import Line, reading, writing
from enclave.receipt import Receipt, require


class ObjectionKind(StrEnum):
    """What a person asked for; the house does the same for both, and says which it was."""

    OBJECTION = "objection"  # GDPR art. 21, for research its paragraph 6
    ERASURE = "erasure"  # GDPR art. 17


class ObjectionLine(Line, table=True):
    __tablename__ = "objection"
    reference: str
    population: str
    id_type: str
    kind: str
    entry: int


class WithdrawalLine(Line, table=True):
    __tablename__ = "objection_withdrawal"
    reference: str
    population: str
    entry: int


class CompactionLine(Line, table=True):
    """A version that was written anew without those who objected by the first `entries` of their population's list."""

    __tablename__ = "dataset_compaction"
    dataset: str
    version: int
    from_version: int
    entries: int


@dataclass(frozen=True)
class Withdrawal:
    """That an objection was taken back: its place in the list and in the trail."""

    entry: int
    event_index: int


@dataclass(frozen=True)
class Objection:
    """An objection as the house knows it; `entry` is its place in the list, `event_index` its place in the trail."""

    reference: str
    population: str
    id_type: str
    kind: ObjectionKind
    entry: int
    event_index: int
    withdrawn: Withdrawal | None = None

    def left_out_by(self, entries: int) -> bool:
        """Tell whether a compaction that followed so many entries left the person out."""
        return self.entry <= entries and (self.withdrawn is None or entries < self.withdrawn.entry)


@dataclass(frozen=True)
class Compaction:
    """A version that was written anew from another: how many entries of the list were followed."""

    version: int
    from_version: int
    entries: int


class ObjectionBook:
    """The references given out; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[Objection, ...]:
        """Every objection, oldest first, those taken back too."""
        with reading(self._engine) as session:
            back = {
                line.reference: Withdrawal(line.entry, line.event_index)
                for line in session.exec(select(WithdrawalLine))
            }
            lines = session.exec(select(ObjectionLine).order_by(col(ObjectionLine.n)))
            return tuple(_objection(line, back.get(line.reference)) for line in lines)

    def of(self, reference: str) -> Objection:
        """Raises `NotFound`."""
        found = [one for one in self.all() if one.reference == reference]
        if not found:
            raise NotFound(
                "no_such_objection",
                "There is no objection of this reference.",
                "Read it again from the letter: opp- and twelve signs.",
            )
        return found[0]

    def entries(self, population: str) -> int:
        """How long the house knows the list of a population to be."""
        with reading(self._engine) as session:
            return entries_known(session, population)

    def note(
        self,
        reference: str,
        population: str,
        id_type: str,
        kind: ObjectionKind,
        entry: int,
        receipt: Receipt,
    ) -> None:
        """Note that somebody of a population objected; who is on the engine's list already. Again changes nothing."""
        require(receipt, "data.objection", f"population:{population}")
        with writing(self._engine) as session:
            if not session.exec(select(ObjectionLine).where(col(ObjectionLine.reference) == reference)).all():
                session.add(
                    ObjectionLine(
                        event_id=receipt.event_id,
                        event_index=receipt.index,
                        reference=reference,
                        population=population,
                        id_type=id_type,
                        kind=kind.value,
                        entry=entry,
                    )
                )

    def note_withdrawal(self, one: Objection, entry: int, receipt: Receipt) -> None:
        """Note that an objection was taken back, as the engine's list says already. Again changes nothing."""
        require(receipt, "data.objection", f"population:{one.population}")
        same = col(WithdrawalLine.reference) == one.reference
        with writing(self._engine) as session:
            if not session.exec(select(WithdrawalLine).where(same)).all():
                session.add(
                    WithdrawalLine(
                        event_id=receipt.event_id,
                        event_index=receipt.index,
                        reference=one.reference,
                        population=one.population,
                        entry=entry,
                    )
                )

    def compactions(self, dataset: str) -> dict[int, Compaction]:
        """Every version of a dataset that a compaction wrote."""
        with reading(self._engine) as session:
            lines = session.exec(select(CompactionLine).where(col(CompactionLine.dataset) == dataset))
            return {line.version: Compaction(line.version, line.from_version, line.entries) for line in lines}


def entries_known(session: Session, population: str) -> int:
    """How long the list of a population must at least be: the furthest place that was noted."""
    furthest = [
        session.exec(select(func.max(col(table.entry))).where(col(table.population) == population)).one()
        for table in (ObjectionLine, WithdrawalLine)
    ]
    return max((place for place in furthest if place is not None), default=0)


def written_without(compactions: Mapping[int, Compaction], one: Objection) -> frozenset[int]:
    """Give the versions that this objection left its person out of, those written from such a version too."""
    found: set[int] = set()
    for version, done in sorted(compactions.items()):
        if one.left_out_by(done.entries) or done.from_version in found:
            found.add(version)
    return frozenset(found)


def _objection(line: ObjectionLine, withdrawn: Withdrawal | None) -> Objection:
    return Objection(
        reference=line.reference,
        population=line.population,
        id_type=line.id_type,
        kind=ObjectionKind(line.kind),
        entry=line.entry,
        event_index=line.event_index,
        withdrawn=withdrawn,
    )
