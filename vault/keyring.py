"""The local keyring: every key of one machine in one sealed file, and each process held to its rights.

A data key is wrapped under HKDF-SHA256(purpose key, salt = context key) by AES-256-GCM. The purpose key rotates;
the context key is random, belongs to one context alone and is removed by shredding, after which neither the
passphrase nor the purpose key opens that context. Copies of the file made before (backups, freed disk blocks)
still do: they have to be destroyed by their own means.
"""

import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypedDict, cast

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import VaultDamaged, VaultRefused, VaultUsage
from vault.keys import (
    MAC_NAMES,
    PURPOSES,
    ROTATE_ACTS,
    SHRED_ACTS,
    SIGN_NAMES,
    UNWRAP_ACTS,
    WRAP_ACTS,
    Rights,
    check_context,
    check_name,
    check_right,
    object_of,
)
from vault.receipt import Receipt, check_receipt
from vault.sealed_file import (
    KEY_BYTES,
    NONCE_BYTES,
    SealedFile,
    change_passphrase,
    create_sealed_file,
    open_sealed_file,
)

WRAP_PREFIX: Final = "enclave1"
WRAPPED: Final = re.compile(rf"{WRAP_PREFIX}:([a-z]+):([1-9][0-9]{{0,5}}):([A-Za-z0-9+/]+={{0,2}})")
MIN_PASSPHRASE: Final = 12
RETIRED: Final = ""  # in the place of a purpose key that was removed: versions keep their numbers


class _Keys(TypedDict):
    """The content of the file; keys in base64. Versions of a purpose key count from 1."""

    purposes: dict[str, list[str]]
    contexts: dict[str, str]
    shredded: dict[str, str]
    mac: dict[str, str]
    sign: dict[str, str]


def create_keyring(path: Path, passphrase: bytes) -> None:
    """Make a keyring with fresh keys for every purpose; the passphrase must be at least 12 bytes."""
    check_passphrase(passphrase)
    keys = _Keys(
        purposes={purpose: [_fresh()] for purpose in PURPOSES},
        contexts={},
        shredded={},
        mac={name: _fresh() for name in MAC_NAMES},
        sign={name: _fresh() for name in SIGN_NAMES},
    )
    create_sealed_file(path, passphrase, orjson.dumps(keys))


def change_keyring_passphrase(path: Path, old: bytes, new: bytes) -> None:
    """Seal the keyring under another passphrase; processes that hold it open have to be started again."""
    check_passphrase(new)
    change_passphrase(path, old, new)


def open_keyring(path: Path, passphrase: bytes, rights: Rights) -> "LocalKeyring":
    """Open the keyring for one process; what its rights do not name is refused."""
    return LocalKeyring(open_sealed_file(path, passphrase), rights)


def check_passphrase(passphrase: bytes) -> None:
    """Refuse a passphrase that a keyring would not take."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise VaultUsage(
            "keyring_passphrase_short",
            f"The passphrase is shorter than {MIN_PASSPHRASE} bytes.",
            "Choose several words.",
            least=MIN_PASSPHRASE,
        )


class LocalKeyring:
    """A `KeyService` over one sealed file; other processes' additions are seen at the next call."""

    def __init__(self, file: SealedFile, rights: Rights) -> None:
        self._file = file
        self._rights = rights

    def new_data_key(self, purpose: str, context: str, receipt: Receipt) -> tuple[bytes, str]:
        """Make a data key; the context gets its own key the first time, and none once it is shredded."""
        self._may(purpose in self._rights.value.wrap, "wrap", purpose)
        check_context(context)
        check_receipt(receipt, WRAP_ACTS, object_of(context))
        self._change(lambda keys: _with_context(keys, purpose, context))
        data_key = os.urandom(KEY_BYTES)
        return data_key, _wrap(self._keys(), purpose, context, data_key)

    def unwrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> bytes:
        """Give the data key back, or raise: no right, no receipt, shredded, or not wrapped for this context."""
        self._may(purpose in self._rights.value.unwrap, "unwrap", purpose)
        check_context(context)
        check_receipt(receipt, UNWRAP_ACTS, object_of(context))
        return _unwrap(self._keys(), purpose, context, wrapped)

    def rewrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> str:
        """Wrap the same data key under the newest purpose key; the key itself is not handed out."""
        self._may(self._rights.value.operate, "rewrap", purpose)
        check_context(context)
        check_receipt(receipt, ROTATE_ACTS, object_of(context))
        keys = self._keys()
        return _wrap(keys, purpose, context, _unwrap(keys, purpose, context, wrapped))

    def rotate(self, purpose: str, receipt: Receipt) -> None:
        """Start a new version of a purpose key; older versions stay until everything is rewrapped."""
        self._may(self._rights.value.operate, "rotate", purpose)
        check_name(purpose, PURPOSES)
        check_receipt(receipt, ROTATE_ACTS, f"key:{purpose}")
        self._change(lambda keys: keys["purposes"][purpose].append(_fresh()))

    def retire(self, purpose: str, receipt: Receipt) -> None:
        """Remove every version of a purpose key but the newest; doing it twice changes nothing."""
        self._may(self._rights.value.operate, "retire", purpose)
        check_name(purpose, PURPOSES)
        check_receipt(receipt, ROTATE_ACTS, f"key:{purpose}")
        self._change(lambda keys: _newest_only(keys, purpose))

    def shred(self, purpose: str, context: str, receipt: Receipt) -> None:
        """Destroy the context's key and leave a tombstone; doing it twice changes nothing."""
        self._may(self._rights.value.operate, "shred", purpose)
        check_name(purpose, PURPOSES)
        check_context(context)
        check_receipt(receipt, SHRED_ACTS, object_of(context))
        self._change(lambda keys: _without_context(keys, purpose, context))

    def mac(self, name: str, data: bytes) -> bytes:
        """Give HMAC-SHA256 of data under the named key."""
        self._may(name in self._rights.value.mac, "mac", name)
        return hmac.digest(_bytes(self._keys()["mac"][name]), data, hashlib.sha256)

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the Ed25519 signature of data under the named key."""
        self._may(name in self._rights.value.sign, "sign", name)
        return self._signer(name).sign(data)

    def public_key(self, name: str) -> bytes:
        """Give the 32-byte public key of a signing name; everybody may have it."""
        check_name(name, SIGN_NAMES)
        return self._signer(name).public_key().public_bytes_raw()

    def _signer(self, name: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(_bytes(self._keys()["sign"][name]))

    def _keys(self) -> _Keys:
        return cast("_Keys", orjson.loads(self._file.read()))

    def _change(self, edit: Callable[[_Keys], None]) -> None:
        def edited(content: bytes) -> bytes:
            keys = cast("_Keys", orjson.loads(content))
            edit(keys)
            return orjson.dumps(keys)

        self._file.change(edited)

    def _may(self, granted: bool, verb: str, name: str) -> None:  # noqa: FBT001 - reads as one sentence at each call
        check_right(self._rights, granted, verb, name)


def _with_context(keys: _Keys, purpose: str, context: str) -> None:
    name = _context_name(purpose, context)
    _check_not_shredded(keys, name)
    keys["contexts"].setdefault(name, _fresh())


def _without_context(keys: _Keys, purpose: str, context: str) -> None:
    name = _context_name(purpose, context)
    keys["contexts"].pop(name, None)
    keys["shredded"].setdefault(name, datetime.now(UTC).isoformat())


def _newest_only(keys: _Keys, purpose: str) -> None:
    versions = keys["purposes"][purpose]
    versions[:-1] = [RETIRED] * (len(versions) - 1)


def _wrap(keys: _Keys, purpose: str, context: str, data_key: bytes) -> str:
    version = len(keys["purposes"][purpose])
    nonce = os.urandom(NONCE_BYTES)
    box = _box(keys, purpose, context, version)
    sealed = box.encrypt(nonce, data_key, _bound(purpose, context, version))
    return f"{WRAP_PREFIX}:{purpose}:{version}:{b64encode(nonce + sealed).decode()}"


def _unwrap(keys: _Keys, purpose: str, context: str, wrapped: str) -> bytes:
    version, sealed = _parse_wrapped(keys, purpose, wrapped)
    box = _box(keys, purpose, context, version)
    try:
        return box.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(purpose, context, version))
    except (InvalidTag, ValueError):
        raise VaultDamaged(
            "wrapped_key_mismatch",
            f"This wrapped key was not made for {context} by this keyring, or it was changed.",
            "Check that the manifest and the keyring belong together.",
            context=context,
        ) from None


def _parse_wrapped(keys: _Keys, purpose: str, wrapped: str) -> tuple[int, bytes]:
    match = WRAPPED.fullmatch(wrapped)
    versions = len(keys["purposes"].get(purpose, ()))
    if match is None or match[1] != purpose or int(match[2]) > versions:
        raise VaultDamaged(
            "wrapped_key_unreadable",
            f"This is not a key wrapped for the purpose {purpose} by this keyring.",
            "Check that the manifest and the keyring belong together.",
        )
    try:
        return int(match[2]), b64decode(match[3], validate=True)
    except ValueError:
        raise VaultDamaged("wrapped_key_unreadable", "The wrapped key is not base64.") from None


def _box(keys: _Keys, purpose: str, context: str, version: int) -> AESGCM:
    name = _context_name(purpose, context)
    _check_not_shredded(keys, name)
    if name not in keys["contexts"]:
        raise VaultRefused(
            "key_context_unknown",
            f"This keyring never made a {purpose} key for {context}.",
            "Check that the data and the keyring belong together.",
            context=context,
        )
    if keys["purposes"][purpose][version - 1] == RETIRED:
        raise VaultRefused(
            "wrapped_key_retired",
            f"The version {version} of the {purpose} key was retired after a rotation; this key was wrapped before.",
            "Use the newest manifest of the dataset.",
            context=context,
        )
    purpose_key = _bytes(keys["purposes"][purpose][version - 1])
    info = f"{WRAP_PREFIX}|{name}|{version}".encode()
    return AESGCM(HKDF(SHA256(), KEY_BYTES, _bytes(keys["contexts"][name]), info).derive(purpose_key))


def _check_not_shredded(keys: _Keys, name: str) -> None:
    if name in keys["shredded"]:
        raise VaultRefused(
            "key_shredded",
            f"The key of {name} was shredded; nothing opens it any more.",
            "Ask the partner for the data again if it is still needed.",
            context=name,
        )


def _context_name(purpose: str, context: str) -> str:
    return f"{purpose}|{context}"


def _bound(purpose: str, context: str, version: int) -> bytes:
    return f"{WRAP_PREFIX}|{purpose}|{context}|{version}".encode()


def _fresh() -> str:
    return b64encode(os.urandom(KEY_BYTES)).decode()


def _bytes(text: str) -> bytes:
    return b64decode(text)
