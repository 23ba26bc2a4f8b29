"""What the house knows of objections and erasures: a reference each, about which population, and what was compacted since.

Who objected is not in here: only the engine's sealed lists say so (`vault/sealed_list.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine, func
from sqlmodel import Session, col, select

from enclave.errors import NotFound
from enclave.house_table import Line, reading, writing
from enclave.receipt import Receipt, require


class ObjectionKind(StrEnum):
    """What a person asked for; the house does the same for both, and says which it was."""

    OBJECTION = "objection"  # GDPR art. 21, and art. 74 of the French law of 6 January 1978
    ERASURE = "erasure"  # GDPR art. 17


class ObjectionLine(Line, table=True):
    __tablename__ = "objection"
    reference: str
    population: str
    id_type: str
    kind: str


class CompactionLine(Line, table=True):
    """A version that was written anew without those whose objections were recorded until line `covered`."""

    __tablename__ = "dataset_compaction"
    dataset: str
    version: int
    from_version: int
    covered: int


@dataclass(frozen=True)
class Objection:
    """An objection as the house knows it; `number` orders them, `event_index` is its place in the trail."""

    number: int
    reference: str
    population: str
    id_type: str
    kind: ObjectionKind
    event_index: int


class ObjectionBook:
    """The references given out; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[Objection, ...]:
        """Every objection, oldest first."""
        with reading(self._engine) as session:
            return tuple(
                _objection(line)
                for line in session.exec(select(ObjectionLine).order_by(col(ObjectionLine.n)))
            )

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

    def note(
        self, reference: str, population: str, id_type: str, kind: ObjectionKind, receipt: Receipt
    ) -> None:
        """Note that somebody of a population objected; who is on the engine's list already."""
        require(receipt, "data.objection", f"population:{population}")
        with writing(self._engine) as session:
            session.add(
                ObjectionLine(
                    event_id=receipt.event_id,
                    event_index=receipt.index,
                    reference=reference,
                    population=population,
                    id_type=id_type,
                    kind=kind.value,
                )
            )

    def covered(self, dataset: str) -> dict[int, int]:
        """For each compacted version of a dataset, the number of the last objection it left out."""
        with reading(self._engine) as session:
            lines = session.exec(select(CompactionLine).where(col(CompactionLine.dataset) == dataset))
            return {line.version: line.covered for line in lines}


def how_many(session: Session, population: str) -> int:
    """How many objections were ever recorded about a population: the engine's list is never shorter."""
    counted = select(func.count()).where(col(ObjectionLine.population) == population)
    return int(session.exec(counted).one())


def _objection(line: ObjectionLine) -> Objection:
    return Objection(
        number=line.n or 0,
        reference=line.reference,
        population=line.population,
        id_type=line.id_type,
        kind=ObjectionKind(line.kind),
        event_index=line.event_index,
    )
