"""Compaction: a dataset written anew without those who objected; then everything older of it is destroyed.

The operator's process signs, publishes and destroys, and opens nothing. Each shelf is rewritten by a process of its own
(`rewrite`) that may open that shelf and no other, so that none ever holds identities and care together. Killed at any
moment, the house has the old version or the new one, whole; run again it goes on from there.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from anonymisation.bounds import UNIT
from enclave.agreements.objections import ObjectionBook
from enclave.agreements.words import Dataset, DatasetVersion
from enclave.journeys.keys import Attestation, KeyTools, left_on_disk, operator, shred
from enclave.journeys.objection import id_type_of, stand_against
from enclave.journeys.objection_list import units_on
from enclave.recording import Actor, EventObject, Recorder, Visitor, recorded
from vault.compaction import Rewritten, compacted_folder, put_together, rewrite_shelf
from vault.keys import KeyService, Rights
from vault.manifest import Manifest, read_manifest, version_folder
from vault.sealed_list import SealedLists
from vault.version import clean_partials

# Research first: its process tells how long the list was, and the others leave out the same people.
ORDER: Final = ("research", "text", "identity")
RIGHTS: Final = {
    "identity": Rights.COMPACT_IDENTITY,
    "research": Rights.COMPACT_RESEARCH,
    "text": Rights.COMPACT_TEXT,
}

Progress = Callable[[str, int, int], None]


class ShelfJob(BaseModel):
    """One shelf to rewrite, as it is handed to the process that may open it; holds no key and no person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shelf: str
    dataset: str
    version: int
    manifest_sha256: str
    as_version: int
    folder: str
    population: str
    id_type: str
    objections: int
    entries: int | None
    by: str
    role: str
    auth: str | None

    @property
    def actor(self) -> Actor:
        """The person who asked for the compaction."""
        return Actor(self.by, "person", self.role, auth=self.auth)


class ShelfDone(BaseModel):
    """What came of a job: the parts written, and how many lines of the list were followed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rewritten: Rewritten
    entries: int


@dataclass(frozen=True)
class RewriteTools:
    """What the process of one shelf works with."""

    root: Path
    lists: SealedLists
    recorder: Recorder
    keys: KeyService


@dataclass(frozen=True)
class CompactTools:
    """What the operator's process works with; `rewrite` hands a job to the process of its shelf."""

    care: KeyTools
    book: ObjectionBook
    recorder: Recorder
    rewrite: Callable[[ShelfJob, Progress], ShelfDone]


@dataclass(frozen=True)
class Compacted:
    """What became of a dataset: its version now, what was destroyed, and whether anything had to be rewritten."""

    dataset: str
    version: int | None
    from_version: int | None
    rewritten: bool
    destroyed: tuple[Attestation, ...]


def rewrite(
    tools: RewriteTools, job: ShelfJob, progress: Callable[[int, int], None] = lambda _done, _of: None
) -> ShelfDone:
    """Rewrite one shelf, under an act of its own in the trail."""
    about = [EventObject("dataset", job.dataset), EventObject("population", job.population)]
    with recorded(
        tools.recorder, "data.compact", actor=job.actor, objects=about, reason=f"shelf-{job.shelf}"
    ) as act:
        manifest = _manifest(tools.root, tools.keys, job.dataset, job.version, job.manifest_sha256)
        entries = tools.lists.read(job.population, tools.keys, act.receipt)
        followed = entries if job.entries is None else entries[: job.entries]
        written = rewrite_shelf(
            tools.root,
            manifest,
            job.shelf,
            job.as_version,
            Path(job.folder),
            unit_column=UNIT,
            unwanted=units_on(followed, job.population, job.id_type, job.entries or job.objections),
            keys=tools.keys,
            receipt=act.receipt,
            progress=progress,
        )
    return ShelfDone(rewritten=written, entries=len(followed))


def compact(
    tools: CompactTools,
    visitor: Visitor,
    dataset: str,
    progress: Progress = lambda _stage, _done, _of: None,
) -> Compacted:
    """Write a dataset's current version anew if somebody objected since, and destroy every version before it.

    No intake and no rotation may run meanwhile: the caller holds their lock. A second time changes nothing; after a
    crash it finishes. Raises `NotFound` for an unknown dataset, what `shred` raises, and `Damaged` for a shelf or a
    list that is not what was written: the old version then stays, untouched.
    """
    actor = operator(visitor)
    about = tools.care.agreements.dataset(dataset)
    objections = stand_against(tools.book.all(), about.population, id_type_of(about))
    _clear_what_a_crash_left(tools, dataset)
    current = next((one for one in _versions(tools, dataset) if one.version == about.version), None)
    before = tools.book.compactions(dataset).get(about.version or 0)
    stale = any(one.entry > (before.entries if before else 0) for one in objections)
    if current is None or (before is None and not stale):
        return Compacted(dataset, about.version, about.version, rewritten=False, destroyed=())
    version = _rewritten(tools, actor, about, current, progress) if stale else current.version
    return Compacted(
        dataset,
        version,
        current.version,
        rewritten=stale,
        destroyed=_destroy_older(tools, visitor, dataset, version),
    )


def _versions(tools: CompactTools, dataset: str) -> tuple[DatasetVersion, ...]:
    return tools.care.agreements.versions(dataset)


def _clear_what_a_crash_left(tools: CompactTools, dataset: str) -> None:
    """Remove what was half-written, and a version that was written whole but never published."""
    clean_partials(tools.care.root)
    after = max((one.version for one in _versions(tools, dataset)), default=0) + 1
    shutil.rmtree(version_folder(tools.care.root, dataset, after), ignore_errors=True)


def _rewritten(
    tools: CompactTools,
    actor: Actor,
    about: Dataset,
    current: DatasetVersion,
    progress: Progress,
) -> int:
    version = max(one.version for one in _versions(tools, about.id)) + 1
    told = [EventObject("dataset", about.id), EventObject("population", about.population)]
    old = EventObject("manifest", f"{about.id}.v{current.version}", current.manifest_sha256)
    counts = {"version": version, "from_version": current.version}
    with recorded(tools.recorder, "data.compact", actor=actor, objects=[*told, old], counts=counts) as act:
        manifest, entries = _write_anew(tools, actor, about, current, version, progress)
        tools.care.agreements.publish_compacted(current, version, manifest.sha256, entries, act.receipt)
        tools.care.forget(about.id)
        act.closing["counts"] = counts
        act.closing["objects"] = [*told, EventObject("manifest", f"{about.id}.v{version}", manifest.sha256)]
    return version


def _write_anew(
    tools: CompactTools,
    actor: Actor,
    about: Dataset,
    current: DatasetVersion,
    version: int,
    progress: Progress,
) -> tuple[Manifest, int]:
    """Give the manifest, and how many entries of the list were followed: every shelf leaves out the same people."""
    root, keys = tools.care.root, tools.care.keys
    old = _manifest(root, keys, about.id, current.version, current.manifest_sha256)
    with compacted_folder(root, about.id, version) as folder:
        done: list[Rewritten] = []
        entries: int | None = None
        for shelf in (one for one in ORDER if one in old.wrapped_keys):
            job = ShelfJob(
                shelf=shelf,
                dataset=about.id,
                version=current.version,
                manifest_sha256=current.manifest_sha256,
                as_version=version,
                folder=str(folder),
                population=about.population,
                id_type=id_type_of(current) or "",
                objections=about.objections,
                entries=entries,
                by=actor.id,
                role=actor.role,
                auth=actor.auth,
            )
            found = tools.rewrite(job, progress)
            done.append(found.rewritten)
            entries = found.entries
        return put_together(folder, old, version, done, keys), entries or 0


def _destroy_older(
    tools: CompactTools, visitor: Visitor, dataset: str, version: int
) -> tuple[Attestation, ...]:
    """Destroy every older version but the answers paid for, which are about nobody; again where a crash cut it short."""
    older = [
        one
        for one in _versions(tools, dataset)
        if one.version < version and (not one.shredded or left_on_disk(tools.care, dataset, one.version))
    ]
    return tuple(
        attested
        for one in older
        for attested in shred(tools.care, visitor, dataset, one.version, keep_answers=True)
    )


def _manifest(root: Path, keys: KeyService, dataset: str, version: int, sha256: str) -> Manifest:
    return read_manifest(
        root, dataset, version, public_key=keys.public_key("manifest"), expected_sha256=sha256
    )
