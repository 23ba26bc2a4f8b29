"""Reads the transparency-log proof that travels with a package (C2SP tlog-proof, tlog-checkpoint, signed-note).

The vault knows no log: this is only what a recipient's check needs, on its own, beside whatever client he prefers.
"""

import hashlib
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63
HASH_BYTES: Final = 32
LEAF: Final = b"\x00"
NODE: Final = b"\x01"
ED25519_NOTE: Final = b"\x01"
KEY_ID_BYTES: Final = 4
PROOF: Final = re.compile(
    rf"{re.escape(HEADER)}\nextra (?P<extra>[A-Za-z0-9+/=]+)\nindex (?P<index>0|[1-9][0-9]{{0,18}})\n"
    r"(?P<path>(?:[A-Za-z0-9+/=]{44}\n)*)\n(?P<note>.*)",
    re.DOTALL,
)
BODY: Final = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>[1-9][0-9]{0,18})\n(?P<root>[A-Za-z0-9+/=]{44})\n(?:[^\n]+\n)*"
)


class ProofWrong(Exception):
    """The proof cannot be read, or does not hold."""


@dataclass(frozen=True)
class LogProof:
    """One entry, its place in the log, and the signed checkpoint it leads to."""

    index: int
    entry: bytes
    path: tuple[bytes, ...]
    note: str

    @property
    def leaf_sha256(self) -> bytes:
        """The leaf hash of the entry (RFC 6962 section 2.1)."""
        return hashlib.sha256(LEAF + self.entry).digest()

    def event(self) -> dict[str, Any]:
        """Give the entry as the event it is; raises ProofWrong when it is not a JSON object."""
        try:
            event = orjson.loads(self.entry)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            raise ProofWrong("the entry is not an event")
        return event


def read_log_proof(text: str) -> LogProof:
    """Read a proof that carries its entry; raises ProofWrong."""
    match = PROOF.fullmatch(text)
    if match is None:
        raise ProofWrong(f"it is not a {HEADER} proof that carries its entry")
    path = tuple(_decoded(line) for line in match["path"].splitlines())
    if len(path) > MAX_PATH or any(len(step) != HASH_BYTES for step in path):
        raise ProofWrong("its path is malformed")
    return LogProof(int(match["index"]), _decoded(match["extra"]), path, match["note"])


def check_inclusion(proof: LogProof) -> None:
    """Check that the entry leads to the checkpoint's root (RFC 9162 section 2.1.3.2); raises ProofWrong."""
    body = _body(proof.note)
    node, last = proof.index, int(body["size"]) - 1
    if node > last:
        raise ProofWrong("the entry lies beyond the checkpoint")
    hashed = proof.leaf_sha256
    for step in proof.path:
        if last == 0:
            raise ProofWrong("the path is too long")
        if node & 1 or node == last:
            hashed = hashlib.sha256(NODE + step + hashed).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hashed = hashlib.sha256(NODE + hashed + step).digest()
        node, last = node >> 1, last >> 1
    if last or hashed != _decoded(body["root"]):
        raise ProofWrong("the path does not lead to the checkpoint's root")


def check_log_signature(note: str, vkey: str) -> None:
    """Check that the log with this verifier key (name+id+key) signed the checkpoint; raises ProofWrong."""
    name, _, rest = vkey.strip().partition("+")
    _, _, encoded = rest.partition("+")
    key = _decoded(encoded)
    key_id = hashlib.sha256(f"{name}\n".encode() + key).digest()[:KEY_ID_BYTES]
    if key[:1] != ED25519_NOTE or len(key) != 1 + HASH_BYTES:
        raise ProofWrong("the log key is not an Ed25519 verifier key")
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        signed = _decoded(line.removeprefix(f"— {name} ")) if line.startswith(f"— {name} ") else b""
        if signed[:KEY_ID_BYTES] == key_id and _holds(key[1:], signed[KEY_ID_BYTES:], f"{text}\n".encode()):
            return
    raise ProofWrong("the checkpoint is not signed by the log given")


def _body(note: str) -> re.Match[str]:
    text, _, _ = note.rpartition("\n\n")
    match = BODY.fullmatch(f"{text}\n")
    if match is None:
        raise ProofWrong("its checkpoint is malformed")
    return match


def _holds(key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ProofWrong("a field is not base64") from None
