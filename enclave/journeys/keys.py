"""Keys: wrapped anew, destroyed, and what is still known of destroyed ones; an operator's acts, each one recorded."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import DatasetVersion
from enclave.errors import NotFound
from enclave.people import Role
from enclave.quarantine import REASONS
from enclave.recording import Actor, EventObject, Recorder, Visitor, recorded
from vault.keys import KeyService
from vault.manifest import quarantine_context, read_manifest, rewrap_manifest, version_folder
from vault.receipt import Receipt
from vault.sealed_file import sync_folder
from vault.sealed_list import SealedLists
from vault.shredding import shred_version

KEEPS_KEYS: Final = frozenset({Role.OPERATOR})
# Answers lie in the ledger, whose lines never change: their key is destroyed with the version, not rotated.
ROTATED: Final = ("research", "identity", "text", "quarantine", "objections")
PENDING, COMPLETE = "pending", "complete"
BACKUPS_IN_AN_EVENT: Final = 50  # an event holds 64 objects; the number of all is in its counts


@dataclass(frozen=True)
class KeyTools:
    """What keys are cared for with."""

    root: Path  # folder of the shelves
    quarantine: Path
    objections: SealedLists
    agreements: AgreementStore
    backups: KeyBackups
    recorder: Recorder
    keys: KeyService
    forget: Callable[[str], None]  # tells the engine to drop what it holds of a dataset
    today: Callable[[], date] = field(default=lambda: datetime.now(UTC).date())


@dataclass(frozen=True)
class Attestation:
    """What a version's destroyed keys still hang on: the backups that were made before and are not gone."""

    dataset: str
    version: int
    backups: tuple[str, ...]

    @property
    def status(self) -> str:
        """`pending` until the last backup is destroyed or expired."""
        return PENDING if self.backups else COMPLETE


def rotate(tools: KeyTools, visitor: Visitor, *, retire: bool = False) -> tuple[tuple[str, int, str], ...]:
    """Wrap the keys of every version under new versions of the purpose keys; no data file is touched.

    Gives (dataset, version, new manifest hash). With `retire` the old versions are destroyed once everything is
    wrapped anew. No intake may run meanwhile: the caller holds its lock. An error leaves what was done; again is safe.
    """
    actor = operator(visitor)
    purposes = [EventObject("key", purpose) for purpose in ROTATED]
    with recorded(tools.recorder, "key.rotate", actor=actor, objects=purposes, reason="new-version") as act:
        for purpose in ROTATED:
            tools.keys.rotate(purpose, act.receipt)
    done = tuple(_rewrap(tools, actor, one) for one in _with_keys(tools))
    for population in tools.objections.names():
        _rewrap_objections(tools, actor, population)
    if retire:
        with recorded(tools.recorder, "key.rotate", actor=actor, objects=purposes, reason="retire") as act:
            for purpose in ROTATED:
                tools.keys.retire(purpose, act.receipt)
    return done


def shred(
    tools: KeyTools,
    visitor: Visitor,
    dataset: str,
    version: int | None = None,
    *,
    keep_answers: bool = False,
) -> tuple[Attestation, ...]:
    """Destroy the keys of a version, or of every version; from the first line on no new question is let in.

    What was destroyed before is destroyed again, which changes nothing: a crash in the middle is mended by asking
    again. Raises `ComponentDown` when the engine does not answer: the keys are gone then, what it keeps in memory may
    not be, so it is asked again. `keep_answers` spares the answers paid for, which are about nobody. Raises `NotFound` for a dataset or version there is none of.
    """
    actor = operator(visitor)
    tools.agreements.dataset(dataset)
    chosen = [one for one in tools.agreements.versions(dataset) if version in (None, one.version)]
    if not chosen:
        raise NotFound(
            "no_such_version",
            f"The dataset {dataset} has no version {version or ''} to shred.",
            "Check its versions.",
            dataset=dataset,
            version=version or 0,
        )
    return tuple(_shred_one(tools, actor, one, keep_answers=keep_answers) for one in chosen)


def attest(tools: KeyTools, visitor: Visitor, dataset: str) -> tuple[Attestation, ...]:
    """Write into the trail, for each shredded version, whether a backup still opens it."""
    actor = operator(visitor)
    tools.agreements.dataset(dataset)
    found = tuple(
        _attestation(tools, dataset, version, index)
        for version, index in sorted(tools.agreements.shredded_at(dataset).items())
    )
    for one in found:
        tools.recorder.single(
            "data.shred",
            actor=actor,
            objects=_told(one),
            reason=one.status,
            counts={"version": one.version, "backups": len(one.backups)},
        )
    return found


def note_backup(tools: KeyTools, visitor: Visitor, name: str, expires_on: date | None) -> None:
    """Note a copy of the keys outside the house."""
    about = [EventObject("backup", name)]
    with recorded(tools.recorder, "key.create", actor=operator(visitor), objects=about) as act:
        tools.backups.note(name, expires_on, act.receipt)


def backup_destroyed(tools: KeyTools, visitor: Visitor, name: str) -> None:
    """Note that a copy of the keys was destroyed."""
    about = [EventObject("backup", name)]
    with recorded(tools.recorder, "data.shred", actor=operator(visitor), objects=about) as act:
        tools.backups.destroy(name, act.receipt)


def left_on_disk(tools: KeyTools, dataset: str, version: int) -> bool:
    """Say whether files of a version are there: of a shredded one its destruction was cut short."""
    folder = version_folder(tools.root, dataset, version)
    return folder.exists() or any(path.exists() for path in _put_aside(tools, dataset, version))


def operator(visitor: Visitor) -> Actor:
    """Give the operator as the trail writes them; raises `Refused` for anybody else."""
    has_role(visitor.person, KEEPS_KEYS)
    return visitor.acting_as(*KEEPS_KEYS)


def _with_keys(tools: KeyTools) -> list[DatasetVersion]:
    return [
        version
        for dataset in tools.agreements.datasets()
        for version in tools.agreements.versions(dataset.id)
        if not version.shredded
    ]


def _rewrap(tools: KeyTools, actor: Actor, one: DatasetVersion) -> tuple[str, int, str]:
    about = [
        EventObject("dataset", one.dataset),
        EventObject("manifest", f"{one.dataset}.v{one.version}", one.manifest_sha256),
    ]
    with recorded(tools.recorder, "key.rotate", actor=actor, objects=about) as act:
        manifest = read_manifest(
            tools.root,
            one.dataset,
            one.version,
            public_key=tools.keys.public_key("manifest"),
            expected_sha256=one.manifest_sha256,
        )
        renewed = rewrap_manifest(tools.root, manifest, tools.keys, act.receipt)
        _rewrap_quarantine(tools, one, act.receipt)
        tools.agreements.renew_manifest(one.dataset, one.version, renewed.sha256, act.receipt)
        act.closing["objects"] = [about[0], EventObject("manifest", about[1].id, renewed.sha256)]
    return one.dataset, one.version, renewed.sha256


def _rewrap_objections(tools: KeyTools, actor: Actor, population: str) -> None:
    about = [EventObject("population", population)]
    with recorded(tools.recorder, "key.rotate", actor=actor, objects=about) as act:
        tools.objections.rewrap(population, tools.keys, act.receipt)


def _rewrap_quarantine(tools: KeyTools, one: DatasetVersion, receipt: Receipt) -> None:
    file = tools.quarantine / f"{one.dataset}-v{one.version}.key"
    if not file.exists():
        return
    context = quarantine_context(one.dataset, one.version)
    renewed = tools.keys.rewrap("quarantine", file.read_text(errors="replace"), context, receipt)
    beside = file.with_suffix(".key.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(renewed)
        out.flush()
        os.fsync(out.fileno())
    beside.rename(file)
    sync_folder(file.parent)


def _shred_one(tools: KeyTools, actor: Actor, one: DatasetVersion, *, keep_answers: bool) -> Attestation:
    about = [
        EventObject("dataset", one.dataset),
        EventObject("manifest", f"{one.dataset}.v{one.version}", one.manifest_sha256),
    ]
    counts = {"version": one.version}
    with recorded(tools.recorder, "data.shred", actor=actor, objects=about, counts=counts) as act:
        if not one.shredded:
            tools.agreements.mark_shredded(one.dataset, one.version, act.receipt)
        shred_version(
            tools.root, one.dataset, one.version, tools.keys, act.receipt, keep_answers=keep_answers
        )
        for path in _put_aside(tools, one.dataset, one.version):
            path.unlink(missing_ok=True)
        tools.forget(one.dataset)
        index = tools.agreements.shredded_at(one.dataset)[one.version]
        told = _attestation(tools, one.dataset, one.version, index)
        act.reason = told.status
        act.closing["objects"] = _told(told)
        act.closing["counts"] = {**counts, "backups": len(told.backups)}
    return told


def _put_aside(tools: KeyTools, dataset: str, version: int) -> list[Path]:
    return [tools.quarantine / f"{dataset}-v{version}{suffix}" for suffix in (".sealed", ".key", REASONS)]


def _attestation(tools: KeyTools, dataset: str, version: int, index: int) -> Attestation:
    today = tools.today()
    return Attestation(
        dataset, version, tuple(one.id for one in tools.backups.all() if one.opens(index, today))
    )


def _told(one: Attestation) -> Sequence[EventObject]:
    backups = [EventObject("backup", name) for name in one.backups[:BACKUPS_IN_AN_EVENT]]
    return [EventObject("dataset", one.dataset), *backups]
