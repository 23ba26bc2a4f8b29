"""What several vault tests need: a receipt, a small dataset, and a log that proves an entry."""

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.keyring import LocalKeyring
from vault.keys import KeyService, Rights
from vault.manifest import Manifest
from vault.release_words import PackageRequest, Source, Vote
from vault.sealed_file import open_sealed_file
from vault.version import write_version

PASSPHRASE = b"several words nobody guesses"
ORDER_KEY = bytes(range(32))
DOMAIN = ["zz", "unused", "aa", "é"]
POLICY = "0" * 64
REQUEST = "01968a2e-5f00-7000-8000-0123456789ab"
ORIGIN = "enclave.example/trail"


@dataclass(frozen=True)
class Receipt:
    act: str
    objects: frozenset[str]
    index: int = 0
    event_id: str = "01968a2e-5f00-7000-8000-000000000000"
    leaf_sha256: bytes = b""


def receipt(act: str, *objects: str) -> Receipt:
    return Receipt(act, frozenset(objects))


@dataclass(frozen=True)
class Keyrings:
    """The same keyring file, opened once for each process."""

    path: Path
    intake: LocalKeyring
    engine: LocalKeyring
    reident: LocalKeyring
    publisher: LocalKeyring
    operator: LocalKeyring
    compact_identity: LocalKeyring
    compact_research: LocalKeyring
    compact_text: LocalKeyring


def open_all(path: Path) -> Keyrings:
    file = open_sealed_file(path, PASSPHRASE)  # its passphrase is made slow to try: once for all of them
    return Keyrings(path, **{rights.name.lower(): LocalKeyring(file, rights) for rights in Rights})


def research_table(rows: int = 400, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    codes = pa.array(rng.integers(0, 4, rows).astype("int8"))
    return pa.table(
        {
            "_unit": pa.array(rng.integers(0, rows // 4, rows, dtype=np.uint64)),
            "diagnosis": pa.DictionaryArray.from_arrays(codes, pa.array(DOMAIN)),
            "cost": pa.array(rng.normal(size=rows)),
            "day": pa.array(rng.integers(18000, 20000, rows).astype("int32"), pa.date32()),
        }
    )


def write(root: Path, keys: KeyService, table: pa.Table | None = None, **changes: Any) -> Manifest:
    """Write a small version; whatever is not said is as usual."""
    given: dict[str, Any] = {
        "dataset": "sejours",
        "version": 1,
        "shelves": {"research": research_table() if table is None else table},
        "unit_column": "_unit",
        "order_key": ORDER_KEY,
        "buckets": 4,
        "domains": {"diagnosis": DOMAIN},
        "policy_sha256": POLICY,
        "previous": None,
    }
    given |= changes
    given.setdefault("receipt", receipt("data.import", f"dataset:{given['dataset']}"))
    return write_version(root, keys=keys, **given)


def query(dataset: str = "sejours") -> Receipt:
    return receipt("data.query", f"dataset:{dataset}")


def package_request(**changes: Any) -> PackageRequest:
    given: dict[str, Any] = {
        "request": REQUEST,
        "title": "Séjours par âge",
        "purpose": "Décrire les séjours.",
        "project": "cardio",
        "author": "researcher-a",
        "house": "Enclave de démonstration",
        "submitted": "2026-11-24T09:00:00Z",
        "approved": "2026-11-25T10:00:00Z",
        "packaged": "2026-11-25T10:05:00Z",
        "votes": (
            Vote("steward-a", "steward", "2026-11-25T09:30:00Z"),
            Vote("steward-b", "senior_steward", "2026-11-25T10:00:00Z"),
        ),
        "datasets": (Source("sejours", 1, "a" * 64),),
        "checks": {
            "policy": {"name": "default", "version": "1", "sha256": "b" * 64},
            "verdict": "pass",
            "files": [],
        },
        "licence": "https://creativecommons.org/licenses/by/4.0/",
    }
    return PackageRequest(**given | changes)


class SmallLog:
    """A transparency log in a few lines: RFC 6962 tree, signed-note checkpoint, tlog-proof."""

    def __init__(self, entries: list[bytes]) -> None:
        self.entries = entries
        self._key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)

    @property
    def vkey(self) -> str:
        encoded = b"\x01" + self._key.public_key().public_bytes_raw()
        return f"{ORIGIN}+{self._key_id().hex()}+{b64encode(encoded).decode()}"

    def checkpoint(self) -> str:
        root = b64encode(_root([leaf(entry) for entry in self.entries])).decode()
        body = f"{ORIGIN}\n{len(self.entries)}\n{root}\n"
        signed = self._key_id() + self._key.sign(body.encode())
        return f"{body}\n— {ORIGIN} {b64encode(signed).decode()}\n"

    def prove(self, index: int) -> str:
        path = _path(index, [leaf(entry) for entry in self.entries])
        lines = "".join(f"{b64encode(step).decode()}\n" for step in path)
        extra = b64encode(self.entries[index]).decode()
        return f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{lines}\n{self.checkpoint()}"

    def _key_id(self) -> bytes:
        encoded = b"\x01" + self._key.public_key().public_bytes_raw()
        return hashlib.sha256(f"{ORIGIN}\n".encode() + encoded).digest()[:4]


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*_path(index, leaves[:half]), _root(leaves[half:])]
    return [*_path(index - half, leaves[half:]), _root(leaves[:half])]
