"""The keys of the house in OpenBao's or Vault's transit engine: wrapping keys never leave it, and it keeps the rights.

Each context has a transit key of its own, named `<purpose>_<context>`, derived by the context once more: deleting it
shreds that context and nothing else. What a process may do is in its policy (vault/policies); the same is asked
here first, so that a refusal names the process.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

from vault.errors import VaultDamaged, VaultRefused
from vault.keys import (
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
from vault.openbao import Connection, NotAcceptedError, field, unreadable
from vault.receipt import Receipt, check_receipt

WRAPPING_TYPE: Final = "aes256-gcm96"
DATA_KEY_BITS: Final = 256
# A mac key is never rotated: every unit number of the house hangs on it. Nor is a signing key: old manifests do.
ONLY_VERSION: Final = 1
BETWEEN: Final = "_"  # in no part of a context, so two contexts never share a name
TOO_OLD: Final = "too old"
NO_KEY: Final = ("key not found", "no existing key", "no key")


class TransitKeys:
    """A `KeyService` over a transit engine."""

    def __init__(self, server: Connection, rights: Rights, mount: str = "transit") -> None:
        self._server = server
        self._rights = rights
        self._mount = mount

    def new_data_key(self, purpose: str, context: str, receipt: Receipt) -> tuple[bytes, str]:
        """Make a data key; the context gets its own transit key the first time."""
        self._may(purpose in self._rights.value.wrap, "wrap", purpose)
        check_context(context)
        check_receipt(receipt, WRAP_ACTS, object_of(context))
        name = key_name(purpose, context)
        self._write(f"keys/{name}", context, type=WRAPPING_TYPE, derived=True)
        made = self._write(f"datakey/plaintext/{name}", context, **_bound(context), bits=DATA_KEY_BITS)
        return _bytes(field(made, "plaintext")), str(field(made, "ciphertext"))

    def unwrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> bytes:
        """Give the data key back, or raise: no right, no receipt, shredded, or not wrapped for this context."""
        self._may(purpose in self._rights.value.unwrap, "unwrap", purpose)
        check_context(context)
        check_receipt(receipt, UNWRAP_ACTS, object_of(context))
        opened = self._write(
            f"decrypt/{key_name(purpose, context)}", context, ciphertext=wrapped, **_bound(context)
        )
        return _bytes(field(opened, "plaintext"))

    def rewrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> str:
        """Wrap the same data key under the newest version, inside the server."""
        self._may(self._rights.value.operate, "rewrap", purpose)
        check_context(context)
        check_receipt(receipt, ROTATE_ACTS, object_of(context))
        name = key_name(purpose, context)
        return str(
            field(self._write(f"rewrap/{name}", context, ciphertext=wrapped, **_bound(context)), "ciphertext")
        )

    def rotate(self, purpose: str, receipt: Receipt) -> None:
        """Start a new version of every transit key of a purpose."""
        for name in self._names(purpose, "rotate", receipt):
            self._write(f"keys/{name}/rotate", name)

    def retire(self, purpose: str, receipt: Receipt) -> None:
        """Destroy every version but the newest of every transit key of a purpose."""
        for name in self._names(purpose, "retire", receipt):
            newest = field(self._read(name) or {}, "latest_version")
            self._write(
                f"keys/{name}/config", name, min_decryption_version=newest, min_encryption_version=newest
            )
            self._write(f"keys/{name}/trim", name, min_available_version=newest)

    def shred(self, purpose: str, context: str, receipt: Receipt) -> None:
        """Delete the context's transit key for good; doing it twice changes nothing."""
        self._may(self._rights.value.operate, "shred", purpose)
        check_name(purpose, PURPOSES)
        check_context(context)
        check_receipt(receipt, SHRED_ACTS, object_of(context))
        name = key_name(purpose, context)
        if self._read(name) is None:
            return
        self._write(f"keys/{name}/config", context, deletion_allowed=True)
        self._server.delete(f"{self._mount}/keys/{name}")

    def mac(self, name: str, data: bytes) -> bytes:
        """Give HMAC-SHA256 of data under the named key."""
        self._may(name in self._rights.value.mac, "mac", name)
        made = self._write(
            f"hmac/mac_{name}/sha2-256", name, input=b64encode(data).decode(), key_version=ONLY_VERSION
        )
        return _after_prefix(field(made, "hmac"))

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the Ed25519 signature of data under the named key."""
        self._may(name in self._rights.value.sign, "sign", name)
        made = self._write(
            f"sign/sign_{name}", name, input=b64encode(data).decode(), key_version=ONLY_VERSION
        )
        return _after_prefix(field(made, "signature"))

    def public_key(self, name: str) -> bytes:
        """Give the 32-byte public key of a signing name; everybody may have it."""
        check_name(name, SIGN_NAMES)
        found = self._read(f"sign_{name}")
        if found is None:
            raise _no_key(name)
        return _bytes(field(field(field(found, "keys"), str(ONLY_VERSION)), "public_key"))

    def _names(self, purpose: str, verb: str, receipt: Receipt) -> list[str]:
        self._may(self._rights.value.operate, verb, purpose)
        check_name(purpose, PURPOSES)
        check_receipt(receipt, ROTATE_ACTS, f"key:{purpose}")
        found = self._server.list(f"{self._mount}/keys")
        return [name for name in found if name.startswith(purpose + BETWEEN)]

    def _read(self, name: str) -> dict[str, Any] | None:
        return self._server.read(f"{self._mount}/keys/{name}")

    def _write(self, path: str, about: str, **body: Any) -> dict[str, Any]:
        try:
            return self._server.write(f"{self._mount}/{path}", body)
        except NotAcceptedError as error:
            raise _explained(error.said, about) from None

    def _may(self, granted: bool, verb: str, name: str) -> None:  # noqa: FBT001 - reads as one sentence at each call
        check_right(self._rights, granted, verb, name)


def key_name(purpose: str, context: str) -> str:
    """Give the name of a context's transit key: the policies allow by its beginning."""
    return BETWEEN.join((purpose, context.replace(":", BETWEEN).replace("|", BETWEEN)))


def _bound(context: str) -> dict[str, str]:
    return {"context": b64encode(context.encode()).decode()}


def _after_prefix(text: str) -> bytes:
    """Give the bytes of "vault:v1:<base64>"."""
    return _bytes(str(text).rpartition(":")[2])


def _bytes(text: Any) -> bytes:
    """Give the bytes of base64; raises `VaultDown` where the server's answer is none."""
    try:
        return b64decode(text, validate=True)
    except (TypeError, ValueError):
        raise unreadable() from None


def _explained(said: str, about: str) -> VaultRefused | VaultDamaged:
    if TOO_OLD in said:
        return VaultRefused(
            "wrapped_key_retired",
            f"The key {about} was wrapped before a rotation whose old versions were retired.",
            "Use the newest manifest of the dataset.",
            context=about,
        )
    if any(words in said for words in NO_KEY):
        return _no_key(about)
    return VaultDamaged(
        "wrapped_key_mismatch",
        f"This wrapped key was not made for {about} by this key service, or it was changed.",
        "Check that the manifest and the key service belong together.",
        context=about,
    )


def _no_key(about: str) -> VaultRefused:
    return VaultRefused(
        "key_context_unknown",
        f"The key service holds no key for {about}: it was shredded, or never made here.",
        "Check that the data and the key service belong together.",
        context=about,
    )
