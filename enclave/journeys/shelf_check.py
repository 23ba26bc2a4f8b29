"""Every byte of every shelf held against its signed manifest, without opening one: after a restore, or on suspicion."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from enclave.agreements.words import DatasetVersion
from enclave.journeys.keys import KeyTools, operator
from enclave.recording import Visitor
from vault.errors import VaultError
from vault.manifest import check_bytes, read_manifest

PUBLIC_KEY: Final = "manifest"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Checked:
    """What was found of a version: how much of it there is, and what is wrong with it first, if anything is."""

    dataset: str
    version: int
    parts: int = 0
    bytes: int = 0
    wrong: VaultError | None = None


def check_shelves(
    tools: KeyTools,
    visitor: Visitor,
    dataset: str | None = None,
    progress: Progress = lambda _done, _of: None,
) -> tuple[Checked, ...]:
    """Read each version's files through and tell what is wrong; one that is does not hide the next.

    All datasets where none is named; a destroyed version has no files. Columns no question asks for are read here too.
    Raises `Refused` for anybody but an operator, and `NotFound` for a dataset there is none of.
    """
    operator(visitor)
    chosen = [tools.agreements.dataset(dataset)] if dataset else tools.agreements.datasets()
    versions = [one for about in chosen for one in tools.agreements.versions(about.id) if not one.shredded]
    found = []
    for done, version in enumerate(versions, start=1):
        found.append(_checked(tools, version))
        progress(done, len(versions))
    return tuple(found)


def _checked(tools: KeyTools, one: DatasetVersion) -> Checked:
    try:
        manifest = read_manifest(
            tools.root,
            one.dataset,
            one.version,
            public_key=tools.keys.public_key(PUBLIC_KEY),
            expected_sha256=one.manifest_sha256,
        )
        check_bytes(tools.root, manifest)
    except VaultError as wrong:
        if wrong.kind != "damaged":
            raise
        return Checked(one.dataset, one.version, wrong=wrong)
    return Checked(one.dataset, one.version, len(manifest.parts), sum(part.bytes for part in manifest.parts))
