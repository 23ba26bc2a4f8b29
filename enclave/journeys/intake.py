"""Intake: a partner's file comes in, is typed by its policy, split onto shelves, encrypted; the plain file is not kept.

The plain rows exist in this process's memory only. What the policy cannot hold is put aside, encrypted, with the
reason; nothing is half brought in: a version is there whole and recorded, or not at all.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from anonymisation.bounds import UNIT
from anonymisation.pseudonym import canonical, check_collisions, unit_numbers
from enclave.agreements.policy import DatasetPolicy, PolicyColumn, load_policy, policy_sha256
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset
from enclave.errors import BadInput, Refused
from enclave.partner_file import PartnerRows, put_aside, read_partner_file
from enclave.people import Role
from enclave.recording import EventObject, Recorded, Recorder, Visitor, recorded
from vault.envelope import seal
from vault.keys import KeyService
from vault.manifest import Manifest
from vault.version import clean_partials, write_version

SHELVES: Final = ("identity", "research", "text")
UNIT_KEY_LABEL: Final = "unit|v1|"  # interfaces 15: one key per id type and enclave
ORDER_KEY_LABEL: Final = "order|v1|"
MAY_BRING_IN: Final = frozenset({Role.INTAKE_AGENT})

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
    buckets: int
    bad_rows_max_percent: int


@dataclass(frozen=True)
class IntakeReport:
    """What became of a file: counts only."""

    dataset: str
    version: int
    rows_in: int
    stored: int
    aside: int
    units: int
    reasons: Mapping[str, int] = field(default_factory=dict)
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
    Raises `Refused` (role, dataset not declared, too many rows put aside) and `BadInput` (policy or file unreadable);
    the file is then untouched.
    """
    has_role(visitor.person, MAY_BRING_IN)
    policy = load_policy(policy_yaml)
    dataset = _declared(tools.agreements.dataset(policy.dataset), policy)
    version = (max((one.version for one in tools.agreements.versions(dataset.id)), default=0)) + 1
    _clear_what_a_crash_left(tools.root, dataset.id, version)
    told = [
        EventObject("dataset", dataset.id),
        EventObject("policy", dataset.id, sha256=policy_sha256(policy_yaml)),
    ]
    actor = visitor.acting_as(Role.INTAKE_AGENT)
    with recorded(tools.recorder, "data.import", actor=actor, objects=told) as act:
        progress("read", 0, 1)
        rows = _numbered(read_partner_file(source, policy), policy, tools.keys)
        _mostly_kept(rows, tools.bad_rows_max_percent)
        _keep_aside(tools, dataset.id, version, rows.aside, act.receipt)
        manifest = _shelve(tools, dataset, version, policy, policy_yaml, rows.kept, act.receipt, progress)
        _publish(tools.agreements, manifest, policy_yaml, act.receipt)
        report = _report(manifest, rows, source_deleted=_discard(source, tools.inbox, always=delete_source))
        act.closing["counts"] = {"rows_in": report.rows_in, "stored": report.stored, "aside": report.aside}
        act.closing["objects"] = [
            *told,
            EventObject("manifest", f"{dataset.id}.v{version}", sha256=manifest.sha256),
        ]
    tools.caps.declare_population(policy.population, policy.privacy.caps.population, visitor)
    return report


def _declared(dataset: Dataset, policy: DatasetPolicy) -> Dataset:
    if dataset.population != policy.population:
        raise Refused(
            "population_differs",
            f"The policy speaks of the population {policy.population}; {dataset.id} was declared about another one.",
            "Correct the policy: what was spent on a population stays spent.",
            dataset=dataset.id,
        )
    return dataset


def _clear_what_a_crash_left(root: Path, dataset: str, version: int) -> None:
    """Remove a version that was written but never published, and anything half-written."""
    clean_partials(root)
    shutil.rmtree(root / dataset / f"v{version}", ignore_errors=True)


def _numbered(rows: PartnerRows, policy: DatasetPolicy, keys: KeyService) -> PartnerRows:
    """Give every row its unit number; a row whose unit cannot be read is put aside."""
    if policy.unit.column is None:
        numbers = np.frombuffer(os.urandom(8 * rows.kept.height), dtype=np.uint64)
        return PartnerRows(rows.kept.with_columns(pl.Series(UNIT, numbers)), rows.aside)
    key = keys.mac("unit", f"{UNIT_KEY_LABEL}{policy.unit.id_type}".encode())
    identifiers = canonical(rows.kept[policy.unit.column], policy.unit.id_type).values
    numbered = unit_numbers(identifiers, key)
    check_collisions(identifiers, numbered)
    rows = PartnerRows(rows.kept.with_columns(numbered.alias(UNIT)), rows.aside)
    return _drop_unit(put_aside(rows, rows.kept[UNIT].is_null(), f"unit:{policy.unit.column}"))


def _drop_unit(rows: PartnerRows) -> PartnerRows:
    return PartnerRows(rows.kept, rows.aside.drop(UNIT, strict=False))


def _mostly_kept(rows: PartnerRows, percent: int) -> None:
    """Refuse a file of which too much would be put aside: it is likely the wrong file, or the wrong policy."""
    if rows.kept.is_empty() or rows.aside.height * 100 > rows.read * percent:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in list(rows.reasons().items())[:5])
        raise BadInput(
            "too_many_bad_rows",
            f"{rows.aside.height} of {rows.read} rows do not fit the policy: {reasons or 'the file holds no row'}.",
            "Check that file and policy belong together; nothing was brought in.",
            aside=rows.aside.height,
            rows=rows.read,
        )


def _keep_aside(
    tools: IntakeTools, dataset: str, version: int, aside: pl.DataFrame, receipt: Recorded
) -> None:
    if aside.is_empty():
        return
    key, wrapped = tools.keys.new_data_key("quarantine", f"dataset:{dataset}|{version}", receipt)
    name = f"{dataset}|{version}|quarantine"
    tools.quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = tools.quarantine / f"{dataset}-v{version}"
    _write_private(file.with_suffix(".sealed"), seal(key, name, aside.write_ndjson().encode()))
    _write_private(file.with_suffix(".key"), wrapped.encode())


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _shelve(
    tools: IntakeTools,
    dataset: Dataset,
    version: int,
    policy: DatasetPolicy,
    policy_yaml: str,
    rows: pl.DataFrame,
    receipt: Recorded,
    progress: Progress,
) -> Manifest:
    shelves = {name: _shelf_table(rows, policy.on(name)) for name in SHELVES if policy.on(name)}
    domains = {column.name: list(column.domain) for column in policy.on("research") if column.domain}
    return write_version(
        tools.root,
        dataset=dataset.id,
        version=version,
        shelves=shelves,
        unit_column=UNIT,
        order_key=tools.keys.mac("order", f"{ORDER_KEY_LABEL}{dataset.id}".encode()),
        buckets=tools.buckets,
        domains=domains,
        policy_sha256=policy_sha256(policy_yaml),
        previous=dataset.manifest_sha256,
        keys=tools.keys,
        receipt=receipt,
        progress=lambda done, of: progress("encrypt", done, of),
    )


def _shelf_table(rows: pl.DataFrame, columns: tuple[PolicyColumn, ...]) -> pa.Table:
    arrays = {UNIT: pa.array(rows[UNIT].to_numpy())}
    for column in columns:
        arrays[column.name] = _array(rows, column)
    return pa.table(arrays)


def _array(rows: pl.DataFrame, column: PolicyColumn) -> pa.Array:
    if column.transform is not None:
        date = rows[column.transform.of].dt
        return (date.year() if column.transform.keep == "year" else date.month()).cast(pl.Int64).to_arrow()
    series = rows[column.name]
    if column.kind == "category" and column.domain is not None:
        # the declared order of the domain, not the order of appearance: the codes say nothing of the data
        return pa.DictionaryArray.from_arrays(
            series.to_physical().cast(pl.Int32).to_arrow(), pa.array(column.domain)
        )
    return pa.array(series.to_arrow()).cast(pa.string()) if series.dtype == pl.String else series.to_arrow()


def _publish(agreements: AgreementStore, manifest: Manifest, policy_yaml: str, receipt: Recorded) -> None:
    agreements.publish_version(
        manifest.dataset,
        manifest.version,
        manifest_sha256=manifest.sha256,
        policy_sha256=manifest.policy_sha256,
        policy_yaml=policy_yaml,
        receipt=receipt,
    )


def _discard(source: Path, inbox: Path, *, always: bool) -> bool:
    """Delete the plain file; when the folder forbids it the report says that it is still there."""
    if not always and not source.resolve().is_relative_to(inbox.resolve()):
        return False
    with suppress(OSError):
        source.unlink()
    return not source.exists()


def _report(manifest: Manifest, rows: PartnerRows, *, source_deleted: bool) -> IntakeReport:
    return IntakeReport(
        dataset=manifest.dataset,
        version=manifest.version,
        rows_in=rows.read,
        stored=rows.kept.height,
        aside=rows.aside.height,
        units=rows.kept[UNIT].n_unique(),
        reasons=rows.reasons(),
        manifest_sha256=manifest.sha256,
        source_deleted=source_deleted,
    )
