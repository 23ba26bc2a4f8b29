"""The two forms a package is signed in, both plain Ed25519 (RFC 8032): minisign for people, DSSE for machines.

minisign: pre-hashed ("ED") signature of jedisct1/minisign, with a trusted comment under its own signature.
DSSE: secure-systems-lab/dsse envelope v1 around an in-toto Statement v1.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_ALGORITHM: Final = b"Ed"
PREHASHED: Final = b"ED"
KEY_ID_BYTES: Final = 8
SIGNATURE_BYTES: Final = 64
TRUSTED: Final = "trusted comment: "
UNTRUSTED: Final = "untrusted comment: "
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"

Sign = Callable[[bytes], bytes]


class SignatureWrong(Exception):
    """A signature does not hold, or cannot be read."""


@dataclass(frozen=True)
class Key:
    """A public key and the short id both forms name it by."""

    public: bytes

    @property
    def id(self) -> bytes:
        """The first 8 bytes of the key's SHA-256: minisign wants an id, any will do."""
        return hashlib.sha256(self.public).digest()[:KEY_ID_BYTES]

    def minisign_text(self) -> str:
        """Give the public key file of minisign."""
        shown = int.from_bytes(self.id, "little")
        body = b64encode(KEY_ALGORITHM + self.id + self.public).decode()
        return f"{UNTRUSTED}minisign public key {shown:016X}\n{body}\n"

    def check(self, signature: bytes, data: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except InvalidSignature:
            raise SignatureWrong("the signature does not hold") from None


def minisign(content: bytes, comment: str, sign: Sign, key: Key) -> str:
    """Give the `.minisig` text of content; the trusted comment is signed too."""
    signature = sign(hashlib.blake2b(content).digest())
    overall = sign(signature + comment.encode())
    body = b64encode(PREHASHED + key.id + signature).decode()
    return f"{UNTRUSTED}signature of the enclave\n{body}\n{TRUSTED}{comment}\n{b64encode(overall).decode()}\n"


def check_minisign(text: str, content: bytes, key: Key) -> str:
    """Check a `.minisig` text and give its trusted comment; raises SignatureWrong."""
    lines = text.split("\n")
    if lines[4:] != [""] or not lines[0].startswith(UNTRUSTED) or not lines[2].startswith(TRUSTED):
        raise SignatureWrong("it is not a minisign signature")
    body, overall, comment = _decoded(lines[1]), _decoded(lines[3]), lines[2].removeprefix(TRUSTED)
    if body[:-SIGNATURE_BYTES] != PREHASHED + key.id:
        raise SignatureWrong("it was made with another key")
    signature = body[-SIGNATURE_BYTES:]
    key.check(signature, hashlib.blake2b(content).digest())
    key.check(overall, signature + comment.encode())
    return comment


def dsse(statement: dict[str, Any], sign: Sign, key: Key) -> bytes:
    """Give the DSSE envelope of an in-toto statement."""
    payload = orjson.dumps(statement, option=orjson.OPT_SORT_KEYS)
    signature = {"keyid": key.id.hex(), "sig": b64encode(sign(pre_authentication(payload))).decode()}
    envelope = {
        "payload": b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [signature],
    }
    return orjson.dumps(envelope, option=orjson.OPT_INDENT_2)


def check_dsse(envelope: bytes, key: Key) -> dict[str, Any]:
    """Check an envelope and give its statement; raises SignatureWrong."""
    try:
        read = orjson.loads(envelope)
        payload, signature = _decoded(read["payload"]), _decoded(read["signatures"][0]["sig"])
        declared = read["payloadType"]
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        raise SignatureWrong("it is not a DSSE envelope") from None
    if declared != PAYLOAD_TYPE:
        raise SignatureWrong("its payload is not an in-toto statement")
    key.check(signature, pre_authentication(payload))
    statement: dict[str, Any] = orjson.loads(payload)
    return statement


def pre_authentication(payload: bytes) -> bytes:
    """Give the bytes a DSSE signature is over (protocol.md, PAE)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise SignatureWrong("it is not base64") from None
