"""Intake: a partner's file comes in, is typed by its policy, split onto shelves, encrypted; the plain file is not kept.

The plain rows are in this process's memory only, some thousands at a time. What the policy cannot hold is put aside,
encrypted, with the reason; nothing is half brought in: a version is there whole and recorded, or not at all.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anonymisation.bounds import UNIT
from anonymisation.pseudonym import canonical, check_collisions, number_column
from enclave.agreements.policy import DatasetPolicy, PolicyColumn, load_policy, policy_sha256
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset
from enclave.errors import BadInput, Refused
from enclave.partner_csv import LINE, Read
from enclave.partner_file import PartnerFile, PartnerRows, open_partner_file, put_aside
from enclave.people import Role
from enclave.quarantine import Quarantine
from enclave.recording import EventObject, Recorded, Recorder, Visitor, recorded
from vault.in_turn import in_turn
from vault.keys import KeyService
from vault.manifest import Manifest
from vault.sealed_file import sync_folder
from vault.version import Plan, clean_partials, write_stream

SHELVES: Final = ("identity", "research", "text")
UNIT_KEY_LABEL: Final = "unit|v1|"  # interfaces 15: one key per id type and enclave
ORDER_KEY_LABEL: Final = "order|v1|"
MAY_BRING_IN: Final = frozenset({Role.INTAKE_AGENT})
# A bucket is ordered in memory, by the intake and by every question: more of them for a larger file.
BUCKET_BYTES: Final = 10 << 20
MOST_BUCKETS: Final = 4096
READ_THREADS: Final = 2

Progress = Callable[[str, int, int], None]


class Caps(Protocol):
    """The ledger's caps, which the engine keeps."""

    def declare_population(self, population: str, cap_rho_micro: int, visitor: Visitor) -> None:
        """Give a population its cap if it has none yet; an existing one is never raised by an intake."""
        ...


@dataclass(frozen=True)
class IntakeTools:
    """What an intake works with."""

    root: Path  # folder of the shelves
    quarantine: Path
    inbox: Path
    agreements: AgreementStore
    recorder: Recorder
    keys: KeyService
    caps: Caps
    buckets: int  # the least
    bad_rows_max_percent: int
    unpacked_bytes_max: int


@dataclass(frozen=True)
class ColumnCount:
    """What became of a column's cells: stored with a value, stored empty, unreadable (their rows are put aside)."""

    stored: int
    empty: int
    unread: int


@dataclass(frozen=True)
class IntakeReport:
    """What became of a file: counts only, and how it was read."""

    dataset: str
    version: int
    rows_in: int
    stored: int
    aside: int
    units: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, ColumnCount] = field(default_factory=dict)
    written: str = ""
    manifest_sha256: str = ""
    source_deleted: bool = False


def bring_in(
    tools: IntakeTools,
    visitor: Visitor,
    policy_yaml: str,
    source: Path,
    *,
    delete_source: bool = False,
    progress: Progress = lambda _stage, _done, _of: None,
) -> IntakeReport:
    """Bring a partner's file in as the next version of its dataset.

    What lies in a partner's inbox is deleted once the version is durable; any other file only with `delete_source`.
    Raises `Refused` (role, dataset or policy not declared) and `BadInput` (policy or file unreadable, too many rows put
    aside); the file is then untouched.
    """
    has_role(visitor.person, MAY_BRING_IN)
    policy = load_policy(policy_yaml)
    dataset = _declared(tools.agreements.dataset(policy.dataset), policy, policy_sha256(policy_yaml))
    version = (max((one.version for one in tools.agreements.versions(dataset.id)), default=0)) + 1
    told = [
        EventObject("dataset", dataset.id),
        EventObject("policy", dataset.id, sha256=policy_sha256(policy_yaml)),
    ]
    actor = visitor.acting_as(Role.INTAKE_AGENT)
    with recorded(tools.recorder, "data.import", actor=actor, objects=told) as act:
        _clear_what_a_crash_left(tools.root, dataset.id, version)
        with _quarantine(tools, dataset.id, version, act.receipt) as quarantine:
            file = open_partner_file(source, policy, tools.unpacked_bytes_max)
            deleted = _is_deleted(file, tools.inbox, always=delete_source)
            stream = _Stream(tools, file, quarantine, progress, file.first_line)
            manifest = _shelve(tools, dataset, version, policy_yaml, stream, act.receipt)
            quarantine.keep()
        _publish(tools.agreements, manifest, policy_yaml, act.receipt)
        report = stream.report(manifest, source_deleted=deleted and _discard(file))
        act.closing["counts"] = {"rows_in": report.rows_in, "stored": report.stored, "aside": report.aside}
        act.closing["objects"] = [
            *told,
            EventObject("manifest", f"{dataset.id}.v{version}", sha256=manifest.sha256),
        ]
    tools.caps.declare_population(policy.population, policy.privacy.caps.population, visitor)
    return report


@dataclass(frozen=True)
class _Split:
    """Some rows of a file, typed, numbered and split onto their shelves."""

    rows: PartnerRows
    shelves: dict[str, pa.Table]


@dataclass
class _Stream:
    """The file's rows on their way to the shelves, and what became of them so far."""

    tools: IntakeTools
    file: PartnerFile
    quarantine: Quarantine
    progress: Progress
    line: int
    stored: int = 0
    aside: int = 0
    units: int = 0
    empty: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @property
    def policy(self) -> DatasetPolicy:
        return self.file.policy

    @property
    def buckets(self) -> int:
        """How many parts the version is cut into: the larger the file, the more."""
        return min(MOST_BUCKETS, max(self.tools.buckets, self.file.unpacked // BUCKET_BYTES))

    def batches(self) -> Iterator[dict[str, pa.Table]]:
        """Give the rows split onto their shelves; raises at the end where too many had to be put aside."""
        steps = self.file.steps
        key = _unit_key(self.policy, self.tools.keys)
        words = {column.name: pa.array(column.domain) for column in self.policy.columns if column.domain}

        def split(read: Read) -> _Split:
            return _split(_numbered(self.file.typed(read()), self.policy, key), self.policy, words)

        reads = self.file.reads(lambda done: self.progress("read", done, steps))
        for one in in_turn(split, reads, READ_THREADS):
            self._count(one.rows)
            yield one.shelves
        self.file.check_unchanged()
        self._mostly_kept()

    def inspect(self, shelf: str, part: pa.Table) -> None:
        """Look at each part before it is written: people are counted, and no two of them may share a number."""
        units = part.column(UNIT).to_numpy()
        if shelf == "research":
            with self._one_at_a_time:
                self.units += int(np.count_nonzero(units[1:] != units[:-1])) + min(1, len(units))
        if shelf == "identity" and self.policy.unit.column is not None:
            _check_identifiers(units, part.column(self.policy.unit.column), self.policy.unit.id_type)

    def report(self, manifest: Manifest, *, source_deleted: bool) -> IntakeReport:
        """Tell what became of the file."""
        return IntakeReport(
            dataset=manifest.dataset,
            version=manifest.version,
            rows_in=self.stored + self.aside,
            stored=self.stored,
            aside=self.aside,
            units=self.units,
            reasons=dict(sorted(self.reasons.items())),
            columns={
                column.name: ColumnCount(
                    self.stored - self.empty[column.name], self.empty[column.name], self.unread[column.name]
                )
                for column in self.policy.source_columns
                if column.shelf != "none"
            },
            written=self.file.written,
            manifest_sha256=manifest.sha256,
            source_deleted=source_deleted,
        )

    def _count(self, rows: PartnerRows) -> None:
        if rows.aside.height:
            self.quarantine.put(rows.aside.with_columns(pl.col(LINE) + self.line))
            self.reasons.update(rows.reasons())
        self.line += rows.lines
        self.stored += rows.kept.num_rows
        self.aside += rows.aside.height
        for name in rows.kept.schema.names:
            self.empty[name] += rows.kept.column(name).null_count
        self.unread.update(rows.unread)

    def _mostly_kept(self) -> None:
        """Refuse a file of which too much is put aside: it is likely the wrong file, or the wrong policy."""
        read = self.stored + self.aside
        if not self.stored or self.aside * 100 > read * self.tools.bad_rows_max_percent:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(self.reasons.items())[:5])
            raise BadInput(
                "too_many_bad_rows",
                f"{self.aside} of {read} rows do not fit the policy: {reasons or 'the file holds no row'}.",
                "Check that file and policy belong together; nothing was brought in.",
                aside=self.aside,
                rows=read,
                reasons=reasons,
            )


def _declared(dataset: Dataset, policy: DatasetPolicy, sha256: str) -> Dataset:
    if dataset.population != policy.population:
        raise Refused(
            "population_differs",
            f"The policy speaks of the population {policy.population}; {dataset.id} was declared about another one.",
            "Correct the policy: what was spent on a population stays spent.",
            dataset=dataset.id,
        )
    if dataset.confirmed_policy_sha256 != sha256:
        raise Refused(
            "policy_not_confirmed",
            f"This policy is not the one a steward confirmed for {dataset.id}.",
            "Have a steward confirm it: enclave dataset declare POLICY.",
            dataset=dataset.id,
        )
    return dataset


def _clear_what_a_crash_left(root: Path, dataset: str, version: int) -> None:
    """Remove a version that was written but never published, and anything half-written."""
    clean_partials(root)
    shutil.rmtree(root / dataset / f"v{version}", ignore_errors=True)


@contextmanager
def _quarantine(tools: IntakeTools, dataset: str, version: int, receipt: Recorded) -> Iterator[Quarantine]:
    """Give an empty place for rows put aside; nothing of it stays when nothing is brought in."""
    quarantine = Quarantine(tools.quarantine, dataset, version, tools.keys, receipt)
    quarantine.clear()
    try:
        yield quarantine
    except BaseException:
        quarantine.clear()
        raise


def _unit_key(policy: DatasetPolicy, keys: KeyService) -> bytes | None:
    """Give the key that numbers the units; None where every row is one."""
    if policy.unit.column is None:
        return None
    return keys.mac("unit", f"{UNIT_KEY_LABEL}{policy.unit.id_type}".encode())


def _numbered(rows: PartnerRows, policy: DatasetPolicy, key: bytes | None) -> PartnerRows:
    """Give every row its unit number; a row whose unit cannot be read is put aside."""
    if key is None or policy.unit.column is None:
        numbers = np.frombuffer(os.urandom(8 * rows.kept.num_rows), dtype=np.uint64)
        return _with_units(rows, numbers)
    found = number_column(rows.kept.column(policy.unit.column), policy.unit.id_type, key)
    rows = put_aside(rows, ~found.valid, f"unit:{policy.unit.column}")
    return _with_units(rows, found.numbers[found.valid])


def _with_units(rows: PartnerRows, numbers: NDArray[np.uint64]) -> PartnerRows:
    return replace(rows, kept=rows.kept.append_column(UNIT, pa.array(numbers)))


def _check_identifiers(units: NDArray[np.uint64], cells: pa.ChunkedArray, id_type: str) -> None:
    """Raise where two identifiers share a number, in a part sorted by it: only neighbours written differently may."""
    identifiers = cells.cast(pa.large_string()).combine_chunks()
    differ = pc.not_equal(identifiers[1:], identifiers[:-1]).to_numpy(zero_copy_only=False)
    places = np.flatnonzero((units[1:] == units[:-1]) & differ)
    places = np.concatenate([places, places + 1])
    values = pl.Series(pl.from_arrow(identifiers.take(pa.array(places))), dtype=pl.String)
    check_collisions(canonical(values, id_type).values, pl.Series(units[places]))


def _shelve(
    tools: IntakeTools, dataset: Dataset, version: int, policy_yaml: str, stream: _Stream, receipt: Recorded
) -> Manifest:
    policy = stream.policy
    plan = Plan(
        dataset=dataset.id,
        version=version,
        shelves=tuple(name for name in SHELVES if policy.on(name)),
        unit_column=UNIT,
        order_key=tools.keys.mac("order", f"{ORDER_KEY_LABEL}{dataset.id}".encode()),
        buckets=stream.buckets,
        domains={column.name: list(column.domain) for column in policy.on("research") if column.domain},
        policy_sha256=policy_sha256(policy_yaml),
        previous=dataset.manifest_sha256,
    )
    return write_stream(
        tools.root,
        plan,
        stream.batches(),
        keys=tools.keys,
        receipt=receipt,
        progress=lambda done, of: stream.progress("encrypt", done, of),
        inspect=stream.inspect,
    )


def _split(rows: PartnerRows, policy: DatasetPolicy, words: Mapping[str, pa.Array]) -> _Split:
    shelves = {name: _shelf_table(rows.kept, policy.on(name), words) for name in SHELVES if policy.on(name)}
    return _Split(rows, shelves)


def _shelf_table(
    rows: pa.RecordBatch, columns: tuple[PolicyColumn, ...], words: Mapping[str, pa.Array]
) -> pa.Table:
    arrays = {UNIT: rows.column(UNIT)}
    for column in columns:
        arrays[column.name] = _array(rows, column, words.get(column.name))
    return pa.table(arrays)


def _array(rows: pa.RecordBatch, column: PolicyColumn, words: pa.Array | None) -> Any:
    if column.transform is not None:
        date = rows.column(column.transform.of)
        return pc.year(date) if column.transform.keep == "year" else pc.month(date)
    if words is not None:
        # the declared order of the domain, not the order of appearance: the codes say nothing of the data
        return pa.DictionaryArray.from_arrays(rows.column(column.name), words)
    return rows.column(column.name)


def _publish(agreements: AgreementStore, manifest: Manifest, policy_yaml: str, receipt: Recorded) -> None:
    agreements.publish_version(
        manifest.dataset,
        manifest.version,
        manifest_sha256=manifest.sha256,
        policy_sha256=manifest.policy_sha256,
        policy_yaml=policy_yaml,
        receipt=receipt,
    )


def _is_deleted(file: PartnerFile, inbox: Path, *, always: bool) -> bool:
    """Say whether the plain file goes in the end; raises where it would still be there under another name."""
    deleted = always or file.path.resolve().is_relative_to(inbox.resolve())
    if deleted and file.path.lstat().st_nlink > 1:
        raise BadInput(
            "partner_file_named_twice",
            f"The file {file.path.name} has a second name: deleting this one would not delete it.",
            "Copy it, delete all its names, and bring the copy in.",
            file=file.path.name,
        )
    return deleted


def _discard(file: PartnerFile) -> bool:
    """Delete the plain file if it is the one that was read; one that its folder holds on to, or a newer one, is reported."""
    with suppress(OSError, BadInput):
        file.check_unchanged()
        file.path.unlink()
        sync_folder(file.path.parent)
    return not os.path.lexists(file.path)
