"""Objection: a patient says no. At once no new question counts them; the next compaction removes them. They may take it back.

Two halves in two processes. The house gives a reference and knows how many there are; the engine alone knows who
(`objection_list.py`). Nothing here tells whether a person is in the data.
"""

import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, Literal, Protocol

from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.objections import Objection, ObjectionBook, ObjectionKind, written_without
from enclave.agreements.policy import ROW_UNIT, load_policy
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset, DatasetVersion
from enclave.errors import BadInput, NotFound
from enclave.journeys.objection_list import Listed, Said, TakenBack
from enclave.people import Role
from enclave.recording import EventObject, Recorder, Visitor, recorded

RECORDS: Final = frozenset({Role.DPO})
READS: Final = frozenset({Role.DPO, Role.AUDITOR, Role.OPERATOR})
REFERENCE_BYTES: Final = 6
ID_TYPE: Final = re.compile(r"[a-z][a-z0-9_]{0,29}")  # as a policy writes it: no identifier by mistake
WITHDRAWN: Final = "withdrawn"  # reason of the act in the trail

Status = Literal["waits", "pending", "removed", "lifted", "absent"]
"""Of an objection that stands: it waits for a compaction, is pending until the last backup is gone, or removed. Of one that
was taken back: it leaves nobody out of the current version, or that version was written without the person."""


class Ear(Protocol):
    """The engine's ear for what persons say; it alone learns who."""

    def record(self, said: Said, known: Collection[str], visitor: Visitor) -> Listed: ...

    def withdraw(self, said: Said, visitor: Visitor) -> TakenBack: ...


@dataclass(frozen=True)
class ObjectionTools:
    """What objections are recorded and followed with."""

    agreements: AgreementStore
    book: ObjectionBook
    backups: KeyBackups
    recorder: Recorder
    engine: Ear
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
    """How far a dataset is: versions destroyed since, versions that hold the person if any does, backups of keys."""

    dataset: str
    status: Status
    removed_from: tuple[int, ...]
    still_in: tuple[int, ...]
    backups: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """An objection today: refused to every new question since it was recorded, or taken back by entry `withdrawn`."""

    reference: str
    population: str
    kind: str
    index: int
    withdrawn: int | None
    datasets: tuple[Removal, ...]
    not_reached: tuple[str, ...]


@dataclass(frozen=True)
class Reinstated:
    """What a person who took an objection back is told: how it stands, and what else of theirs still holds.

    `also` are other references of theirs; `cut_short` says that there is one more record, of which the house has no reference.
    """

    standing: Standing
    also: tuple[str, ...]
    cut_short: bool

    @property
    def left_out(self) -> bool:
        """Whether something of theirs still keeps the person out."""
        return bool(self.also) or self.cut_short


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
    entries = tools.book.entries(population)
    said = Said(new_reference(), kind.value, population, chosen, identifier, entries)
    known = [one.reference for one in tools.book.all() if one.population == population]
    about = [EventObject("population", population)]
    actor = visitor.acting_as(*RECORDS)
    with recorded(tools.recorder, "data.objection", actor=actor, objects=about, reason=kind.value) as act:
        listed = tools.engine.record(said, known, visitor)
        tools.book.note(listed.reference, population, chosen, kind, listed.entry, act.receipt)
    reached = tuple(one.id for one in datasets if id_type_of(one) == chosen)
    others = tuple(one.id for one in datasets if one.id not in reached)
    return Acknowledged(listed.reference, population, chosen, kind.value, act.receipt.index, reached, others)


def withdraw(tools: ObjectionTools, visitor: Visitor, reference: str, identifier: str) -> Reinstated:
    """Take an objection or an erasure back; from now on questions count the person, unless another record of theirs stands.

    What a compaction removed does not come back. The reference and the identifier must be of one person: the engine
    says so, or refuses. Asked again, after a crash too, it comes to the same. Raises `Refused` for anybody but the
    data protection officer and for a reference of somebody else, `NotFound` for an unknown one, `BadInput` for an
    unreadable identifier.
    """
    has_role(visitor.person, RECORDS)
    one = tools.book.of(_typed(reference))
    entries = tools.book.entries(one.population)
    said = Said(one.reference, one.kind.value, one.population, one.id_type, identifier, entries)
    about = [EventObject("population", one.population)]
    actor = visitor.acting_as(*RECORDS)
    with recorded(tools.recorder, "data.objection", actor=actor, objects=about, reason=WITHDRAWN) as act:
        back = tools.engine.withdraw(said, visitor)
        tools.book.note_withdrawal(one, back.entry, act.receipt)
    known = {each.reference for each in tools.book.all()}
    also = tuple(each for each in back.also if each in known)
    return Reinstated(_standing(tools, tools.book.of(one.reference)), also, len(also) < len(back.also))


def standing(tools: ObjectionTools, visitor: Visitor, reference: str) -> Standing:
    """Say how far an objection is. Raises `NotFound` for an unknown reference."""
    has_role(visitor.person, READS)
    return _standing(tools, tools.book.of(_typed(reference)))


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


def stand_against(
    objections: Sequence[Objection], population: str, id_type: str | None
) -> tuple[Objection, ...]:
    """Give the objections a dataset of this population and identifier type must leave out: none taken back."""
    return tuple(
        one
        for one in objections
        if (one.population, one.id_type, one.withdrawn) == (population, id_type, None)
    )


def _typed(reference: str) -> str:
    return reference.strip().lower()


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
    told = _removal if one.withdrawn is None else _reinstatement
    return Standing(
        one.reference,
        one.population,
        one.kind.value,
        one.event_index,
        None if one.withdrawn is None else one.withdrawn.event_index,
        tuple(told(tools, dataset, one) for dataset in reached),
        tuple(dataset.id for dataset in datasets if dataset not in reached),
    )


def _ever_known_by(agreements: AgreementStore, dataset: str, id_type: str) -> bool:
    return any(id_type_of(version) == id_type for version in agreements.versions(dataset))


def _removal(tools: ObjectionTools, about: Dataset, one: Objection) -> Removal:
    """Look at each version that could hold the person: shredded, compacted since, or neither."""
    dataset = about.id
    clean = written_without(tools.book.compactions(dataset), one)
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
    status: Status = "waits" if left else "pending" if opening else "removed"
    return Removal(dataset, status, gone, left, tuple(sorted(opening)))


def _reinstatement(tools: ObjectionTools, about: Dataset, one: Objection) -> Removal:
    """Look at the current version, the only one questions read: it was written without the person, or not."""
    absent = written_without(tools.book.compactions(about.id), one)
    if about.version is None or about.version in absent:
        return Removal(about.id, "absent", (), (), ())
    return Removal(about.id, "lifted", (), (about.version,), ())
