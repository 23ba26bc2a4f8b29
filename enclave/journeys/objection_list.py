"""Who objected, as the engine alone knows it: a sealed list a population, of what was recorded and what was taken back.

An entry is never removed. What a person took back is an entry of its own, so that a list that was put back from a copy is
still found shorter than the house knows, and a compaction that has read the first entries leaves out the same people on
every shelf. A person is left out as long as one of their records was not taken back.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from anonymisation.bounds import UNIT
from anonymisation.pseudonym import canonical, unit_numbers
from enclave.errors import BadInput, Damaged, Refused
from enclave.journeys.intake import UNIT_KEY_LABEL
from enclave.recording import Actor, EventObject, Recorder, recorded
from vault.keys import KeyService
from vault.receipt import Receipt
from vault.sealed_list import Decide, Entry, SealedLists

FOLDER: Final = "objections"  # in the state folder, beside the shelves
SAME: Final = (
    "kind",
    "id_type",
    "unit",
)  # two records of one person that differ in nothing else are the same record

# An entry is {reference, kind, id_type, unit} for what was recorded, {withdrawn: reference} for what was taken back.


@dataclass(frozen=True)
class Said:
    """What a person said, on its way to the engine; `entries` is how long the house knows the list to be."""

    reference: str
    kind: str
    population: str
    id_type: str
    identifier: str = field(repr=False)
    entries: int


@dataclass(frozen=True)
class Listed:
    """Where a record stands in the list, the first entry being 1."""

    reference: str
    entry: int


@dataclass(frozen=True)
class TakenBack:
    """Where a withdrawal stands in the list, and the references under which the same person still objects."""

    entry: int
    also: tuple[str, ...]


@dataclass(frozen=True)
class Objections:
    """The lists of the house, with what they are opened with; an identifier goes no further than here."""

    lists: SealedLists
    keys: KeyService
    recorder: Recorder

    def record(self, said: Said, known: Collection[str], actor: Actor) -> Listed:
        """Put the person behind an identifier on their population's list; durable on return.

        `known` are the references the house has. A record that was cut short before the house knew of it is taken up
        under its first reference, so that asking again after a crash leaves one record. Raises `BadInput` for an
        identifier that is none of its type, `Damaged` for a list shorter than the house knows.
        """
        mine = {
            "reference": said.reference,
            "kind": said.kind,
            "id_type": said.id_type,
            "unit": self._unit(said),
        }

        def unless_cut_short(entries: Sequence[Entry]) -> Entry | None:
            whole(entries, said.population, said.entries)
            return None if cut_short(entries, mine, known) else mine

        entries = self._change(said, "listed", unless_cut_short, actor)
        reference = cut_short(entries, mine, {*known, said.reference}) or said.reference
        return Listed(reference, place(entries, "reference", reference))

    def withdraw(self, said: Said, actor: Actor) -> TakenBack:
        """Take a record back for the person behind an identifier; durable on return, and again changes nothing.

        Raises `Refused` where the reference was not given to this person, `BadInput` and `Damaged` as `record`.
        """
        unit = self._unit(said)

        def once(entries: Sequence[Entry]) -> Entry | None:
            whole(entries, said.population, said.entries)
            recorded_for(entries, said.reference, said.id_type, unit)
            return None if place(entries, "withdrawn", said.reference) else {"withdrawn": said.reference}

        entries = self._change(said, "unlisted", once, actor)
        also = [
            reference
            for reference, one in standing_in(entries).items()
            if (one["id_type"], one["unit"]) == (said.id_type, unit)
        ]
        return TakenBack(place(entries, "withdrawn", said.reference), tuple(also))

    def units(self, population: str, id_type: str, at_least: int, receipt: Receipt) -> list[int]:
        """Give the units to leave out of a dataset that knows people by this type of identifier."""
        return units_on(self.lists.read(population, self.keys, receipt), population, id_type, at_least)

    def _change(self, said: Said, reason: str, decide: Decide, actor: Actor) -> list[dict[str, Any]]:
        about = [EventObject("population", said.population)]
        with recorded(self.recorder, "data.objection", actor=actor, objects=about, reason=reason) as act:
            return self.lists.add(said.population, decide, self.keys, act.receipt)

    def _unit(self, said: Said) -> int:
        values = canonical(pl.Series([said.identifier]), said.id_type).values
        if values[0] is None:
            raise BadInput(
                "identifier_unreadable",
                f"What was given is no identifier of the type {said.id_type}.",
                "Check its digits and its key against the person's papers; nothing was recorded.",
                id_type=said.id_type,
            )
        key = self.keys.mac("unit", f"{UNIT_KEY_LABEL}{said.id_type}".encode())
        return int(unit_numbers(values, key)[0])


# --- what a list says


def whole(entries: Sequence[Entry], population: str, at_least: int) -> None:
    """Raise `Damaged` for a list shorter than the house knows it was."""
    if len(entries) < at_least:
        raise Damaged(
            "objections_missing",
            f"The list of objections about {population} is shorter than what was recorded; nothing is read and nothing recorded.",
            "Restore the folder objections/ from the newest backup.",
            population=population,
        )


def standing_in(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Give by reference what was recorded and not taken back."""
    back = {one["withdrawn"] for one in entries if "withdrawn" in one}
    return {one["reference"]: one for one in entries if "reference" in one and one["reference"] not in back}


def units_on(entries: Sequence[Entry], population: str, id_type: str, at_least: int) -> list[int]:
    """Give the units of one identifier type that are left out; raises `Damaged` as `whole`."""
    whole(entries, population, at_least)
    return sorted({int(one["unit"]) for one in standing_in(entries).values() if one["id_type"] == id_type})


def cut_short(entries: Sequence[Entry], mine: Entry, known: Collection[str]) -> str | None:
    """Give the reference of the same record made before, if the house never came to know of it."""
    for reference, one in standing_in(entries).items():
        if reference not in known and all(one[name] == mine[name] for name in SAME):
            return reference
    return None


def place(entries: Sequence[Entry], name: str, reference: str) -> int:
    """Give where a reference was recorded or taken back in a list, the first entry being 1; 0 for nowhere."""
    return next((at for at, one in enumerate(entries, start=1) if one.get(name) == reference), 0)


def recorded_for(entries: Sequence[Entry], reference: str, id_type: str, unit: int) -> None:
    """Raise `Refused` unless a reference was given to this person; it says the same whoever the other one is."""
    if not any(
        one.get("reference") == reference and (one["id_type"], one["unit"]) == (id_type, unit)
        for one in entries
    ):
        raise Refused(
            "not_this_persons_objection",
            "This reference was not given to the person of this identifier; nothing was changed.",
            "Compare both with the person's letter and papers. The attempt is in the trail.",
        )


def without(parts: Sequence[pl.LazyFrame], units: Collection[int]) -> list[pl.LazyFrame]:
    """Leave units out of the parts of a shelf, before anything else is done with a row."""
    if not units:
        return list(parts)
    gone = pl.LazyFrame({UNIT: pl.Series(sorted(units), dtype=pl.UInt64)})
    return [part.join(gone, on=UNIT, how="anti", maintain_order="left") for part in parts]
