"""The signed list of what a dataset version consists of: a part that is missing is found here, not by the cipher.

Manifest v1 is canonical JSON (orjson, sorted keys) with a raw 64-byte Ed25519 signature beside it
(`openssl pkeyutl -verify -rawin` checks it). Its SHA-256 is in the trail; which one is current is for the
caller to know, and a reader is refused any other.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vault.errors import VaultDamaged, VaultRefused
from vault.keys import KeyService
from vault.receipt import Receipt
from vault.sealed_file import read_regular, sync_folder

MANIFEST_NAME: Final = "manifest.json"
SIGNATURE_SUFFIX: Final = ".sig"
MAX_MANIFEST_BYTES: Final = 64 * 1024 * 1024
SHELVES: Final = ("identity", "research", "text")
DATASET: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Shelf = Literal["identity", "research", "text"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Part(_Frozen):
    """One encrypted file: its bucket's rows of one shelf."""

    path: Annotated[str, Field(pattern=r"^(identity|research|text)/part-\d{5}\.parquet$")]
    shelf: _Shelf
    rows: Annotated[int, Field(ge=0)]
    bytes: Annotated[int, Field(gt=0)]
    sha256: _Sha256


class StoredColumn(_Frozen):
    """A column as it is stored; `type` is Arrow's own word for it."""

    name: str
    type: str


class Manifest(_Frozen):
    """What a dataset version is made of."""

    v: Literal[1] = 1
    dataset: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
    version: Annotated[int, Field(ge=1)]
    created: str
    columns: dict[_Shelf, tuple[StoredColumn, ...]] = Field(alias="schema")
    domains: dict[str, tuple[str, ...]]
    parts: tuple[Part, ...]
    wrapped_keys: dict[_Shelf, str]
    policy_sha256: _Sha256
    previous: _Sha256 | None

    def to_bytes(self) -> bytes:
        """Give the canonical bytes: what is written, hashed and signed."""
        return orjson.dumps(self.model_dump(mode="json", by_alias=True), option=orjson.OPT_SORT_KEYS)

    @property
    def sha256(self) -> str:
        """The hash that goes into the trail and to whoever keeps the current version (hex)."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def parts_of(self, shelf: str) -> tuple[Part, ...]:
        """Give the parts of one shelf in bucket order."""
        return tuple(part for part in self.parts if part.shelf == shelf)


def version_folder(root: Path, dataset: str, version: int) -> Path:
    """Give the folder of a version below `root` (the folder that holds one folder a dataset)."""
    return root / dataset / f"v{version}"


def shelf_context(dataset: str, version: int, shelf: str) -> str:
    """Give the key context of a shelf, for unwrapping, rewrapping and shredding."""
    return f"dataset:{dataset}|{version}|{shelf}"


def stored_columns(schema: pa.Schema) -> tuple[StoredColumn, ...]:
    """Give the columns of a shelf as its manifest lists them."""
    return tuple(StoredColumn(name=column.name, type=str(column.type)) for column in schema)


def quarantine_context(dataset: str, version: int) -> str:
    """Give the key context of the rows put aside when a version was brought in."""
    return f"dataset:{dataset}|{version}"


def answers_context(dataset: str, version: int) -> str:
    """Give the key context of the answers kept for replay of a version."""
    return f"dataset:{dataset}|{version}|answers"


def write_manifest(folder: Path, manifest: Manifest, keys: KeyService, name: str = MANIFEST_NAME) -> None:
    """Sign a manifest and write it with its signature; durable on return."""
    data = manifest.to_bytes()
    _write(folder / f"{name}{SIGNATURE_SUFFIX}", keys.sign("manifest", data))
    _write(folder / name, data)
    sync_folder(folder)


def read_manifest(
    root: Path, dataset: str, version: int, *, public_key: bytes, expected_sha256: str
) -> Manifest:
    """Read the manifest the trail knows, and check that every part is there with its size.

    Raises when the hash is another (rolled back, replaced), the signature does not hold, it belongs to another
    dataset or version, or a part is missing or has another size.
    """
    folder = version_folder(root, dataset, version)
    data, signature = _read_pair(folder, expected_sha256)
    _check_signature(data, signature, public_key)
    manifest = parse_manifest(data)
    if (manifest.dataset, manifest.version) != (dataset, version):
        raise _damaged(
            "manifest_of_another_version",
            f"The manifest is of {manifest.dataset} version {manifest.version}, not of {dataset} version {version}.",
            of=f"{dataset}/v{version}",
        )
    for part in manifest.parts:
        _check_part(folder, part)
    return manifest


def check_bytes(root: Path, manifest: Manifest) -> None:
    """Check every byte of every part against the manifest, without a key: after a restore, or on suspicion."""
    folder = version_folder(root, manifest.dataset, manifest.version)
    for part in manifest.parts:
        _check_part(folder, part)
        with (folder / part.path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:
                raise _damaged("shelf_part_changed", f"{part.path} was changed.", part=part.path)


def parse_manifest(data: bytes) -> Manifest:
    """Read canonical bytes back; anything that would be written differently is refused."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError:
        raise _damaged(
            "manifest_unreadable", "The manifest does not follow the form of manifest v1."
        ) from None
    if manifest.to_bytes() != data:
        raise _damaged("manifest_not_canonical", "The manifest is not written in its canonical form.")
    return manifest


def rewrap_manifest(root: Path, manifest: Manifest, keys: KeyService, receipt: Receipt) -> Manifest:
    """Wrap the version's data keys under the newest purpose keys; no data file is touched.

    The new manifest is written beside the old one under its own hash, so readers keep the old one until the
    caller makes the new hash current, and a crash in between breaks nothing.
    """
    wrapped = {
        shelf: keys.rewrap(shelf, text, shelf_context(manifest.dataset, manifest.version, shelf), receipt)
        for shelf, text in manifest.wrapped_keys.items()
    }
    renewed = manifest.model_copy(update={"wrapped_keys": wrapped})
    folder = version_folder(root, manifest.dataset, manifest.version)
    write_manifest(folder, renewed, keys, _name_by_hash(renewed.sha256))
    return renewed


def _name_by_hash(sha256: str) -> str:
    return f"manifest-{sha256}.json"


def _read_pair(folder: Path, expected_sha256: str) -> tuple[bytes, bytes]:
    """Give the manifest with the expected hash and its signature: the first one, or one a rotation wrote."""
    for name in (MANIFEST_NAME, _name_by_hash(expected_sha256)):
        data = _read(folder / name)
        if hashlib.sha256(data).hexdigest() == expected_sha256:
            return data, _read(folder / f"{name}{SIGNATURE_SUFFIX}")
    raise _damaged(
        "manifest_not_the_recorded_one",
        f"The manifest in {folder.parent.name}/{folder.name} is not the one the trail recorded.",
        of=f"{folder.parent.name}/{folder.name}",
    )


def _read(path: Path) -> bytes:
    """Read a small file; a missing one reads as empty, which no hash and no signature accepts."""
    try:
        return read_regular(path, MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as failure:
        raise _damaged(
            "manifest_not_read",
            f"{path.parent.parent.name}/{path.parent.name}/{path.name} cannot be read: {failure.strerror}.",
            of=f"{path.parent.parent.name}/{path.parent.name}/{path.name}",
        ) from None


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _check_signature(data: bytes, signature: bytes, public_key: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        raise _damaged("manifest_signature_wrong", "The signature of the manifest does not hold.") from None


def _check_part(folder: Path, part: Part) -> None:
    path = folder / part.path
    if path.is_symlink() or not path.is_file():
        raise _damaged("shelf_part_missing", f"{part.path} is missing.", part=part.path)
    size = path.stat().st_size
    if size != part.bytes:
        raise _damaged(
            "shelf_part_wrong_size",
            f"{part.path} has {size} bytes; the manifest says {part.bytes}.",
            part=part.path,
        )


def _damaged(code: str, message: str, **params: str | int) -> VaultDamaged:
    return VaultDamaged(
        code, message, "Restore this version from the backup and look at the trail.", **params
    )


def check_dataset_id(dataset: str) -> None:
    """Check that a dataset id may be a folder name."""
    if DATASET.fullmatch(dataset) is None:
        raise VaultRefused(
            "dataset_id_malformed", "A dataset id is a small letter, then small letters, digits and hyphens."
        )
