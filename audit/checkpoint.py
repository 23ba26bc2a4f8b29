"""Signed checkpoints (C2SP tlog-checkpoint over signed-note, Ed25519) and the keys that sign and check them."""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.errors import BadInput, ProofWrong
from audit.tree import HASH_BYTES

ED25519: Final = b"\x01"  # signature types of C2SP signed-note
COSIGNATURE: Final = b"\x04"  # tlog-cosignature, Ed25519: a witness's statement with its time
ML_DSA_44: Final = b"\x06"  # tlog-cosignature, ML-DSA-44: here the log's second signature
KEY_ID_BYTES: Final = 4
PUBLIC_KEY_BYTES: Final = {ED25519: 32, COSIGNATURE: 32, ML_DSA_44: 1_312}
MAX_SIGNATURES: Final = 16  # signed-note: verifiers accept at least 16
MAX_NOTE_BYTES: Final = 65_536
DASH: Final = "\u2014"
NAME: Final = re.compile(r"[^\s+]{1,128}")  # signed-note: neither white space nor a plus sign
DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """What a log says of itself: its origin, how many entries, and the root hash over them."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Give the text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"


@dataclass(frozen=True)
class Verifier:
    """A public key with the name it signs under, and the kind of signature it gives."""

    name: str
    public: bytes
    kind: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """Give the four bytes that name the key in a signature line."""
        return sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:KEY_ID_BYTES]

    def vkey(self) -> str:
        """Give the text form: name+hex key id+base64 key."""
        return f"{self.name}+{self.key_id.hex()}+{encode64(self.kind + self.public)}"


@dataclass(frozen=True)
class Signer:
    """The log's private key with the name it signs under; only the recorder holds one."""

    name: str
    key: Ed25519PrivateKey

    @property
    def verifier(self) -> Verifier:
        """Give the public side."""
        return Verifier(self.name, self.key.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """Give the signed note over a checkpoint."""
        body = checkpoint.body()
        signature = encode64(self.verifier.key_id + self.key.sign(body.encode()))
        return f"{body}\n{DASH} {self.name} {signature}\n"


def encode64(raw: bytes) -> str:
    """Write bytes as standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(raw).decode("ascii")


def decode64(text: str) -> bytes:
    """Read standard base64; raises ProofWrong on any other spelling of the same bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofWrong("not_base64", "a line that should be base64 is not") from None
    if encode64(raw) != text:
        raise ProofWrong("not_base64", "a base64 line is not in its one canonical spelling")
    return raw


def check_name(name: str) -> str:
    """Give the origin back if it can be a key name; raises BadInput otherwise."""
    if not NAME.fullmatch(name):
        raise BadInput(
            "bad_origin",
            "the log's name has white space, a plus sign or more than 128 characters",
            "use a name such as `enclave.example/trail`",
        )
    return name


def read_vkey(text: str, kind: bytes = ED25519) -> Verifier:
    """Read a verifier key `name+hex+base64`; raises BadInput when it is malformed or its id does not fit."""
    parts = text.strip().split("+", 2)
    try:
        name, key_id, key = check_name(parts[0]), bytes.fromhex(parts[1]), decode64(parts[2])
    except (IndexError, ValueError, BadInput, ProofWrong):
        raise _bad_vkey() from None
    if key[:1] != kind or len(key) != 1 + PUBLIC_KEY_BYTES[kind]:
        raise _bad_vkey()
    verifier = Verifier(name, key[1:], kind)
    if verifier.key_id != key_id:
        raise _bad_vkey()
    return verifier


def _bad_vkey() -> BadInput:
    return BadInput(
        "bad_vkey",
        "the verifier key is not of the form name+id+key of a note key of this kind",
        "ask the operator for the `vkey` file of the trail",
    )


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Read a signed checkpoint and check it against the key.

    Raises ProofWrong when it is malformed, comes from another log, or no signature of the key holds.
    """
    signed = read_note(note)
    _check_signature(signed, verifier)
    checkpoint = _parse_body(signed.body)
    if checkpoint.origin != verifier.name:
        raise ProofWrong("other_origin", "the checkpoint names another log than the key")
    return checkpoint


def read_checkpoint(note: str) -> Checkpoint:
    """Read what a note says without believing it: no signature is checked; raises ProofWrong when malformed."""
    return _parse_body(read_note(note).body)


@dataclass(frozen=True)
class Note:
    """A signed note taken apart: the text that is signed, and (name, key id, signature) of each line."""

    body: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def of(self, verifier: Verifier) -> list[bytes]:
        """Give the signatures that say they are of this key; whether they hold is for the caller to check."""
        return [
            signature
            for name, key_id, signature in self.signatures
            if (name, key_id) == (verifier.name, verifier.key_id)
        ]


def read_note(note: str) -> Note:
    """Take a signed note apart; raises ProofWrong when it is malformed."""
    controls = any(letter < " " and letter != "\n" for letter in note)
    cut = note.rfind("\n\n")
    if len(note) > MAX_NOTE_BYTES or controls or cut < 0 or not note.endswith("\n"):
        raise ProofWrong("bad_note", "the checkpoint is not a signed note")
    lines = note[cut + 2 :].split("\n")[:-1]
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise ProofWrong("bad_note", "the checkpoint has no signature, or more than are read")
    return Note(note[: cut + 1], tuple(_signature(line) for line in lines))


def _signature(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, coded = rest.partition(" ")
    if dash != DASH or not NAME.fullmatch(name):
        raise ProofWrong("bad_note", "a signature line of the checkpoint is malformed")
    raw = decode64(coded)
    return name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:]


def _check_signature(note: Note, verifier: Verifier) -> None:
    signatures = note.of(verifier)
    if not signatures:
        raise ProofWrong("other_key", "the checkpoint is not signed by this key")
    for signature in signatures:
        check_ed25519(verifier.public, signature, note.body.encode())


def check_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Check one signature; raises ProofWrong when it does not hold."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        raise ProofWrong("signature_wrong", "the signature does not fit the checkpoint") from None


def _parse_body(body: str) -> Checkpoint:
    lines = body.split("\n")
    if len(lines) < 4 or not DECIMAL.fullmatch(lines[1]):  # noqa: PLR2004  (origin, size, root, last newline)
        raise ProofWrong("bad_checkpoint", "the checkpoint is not origin, size and root")
    root = decode64(lines[2])
    if len(root) != HASH_BYTES:
        raise ProofWrong("bad_checkpoint", "the checkpoint's root is not a SHA-256 hash")
    return Checkpoint(lines[0], int(lines[1]), root)


def create_key(path: Path, passphrase: bytes) -> None:
    """Write a fresh Ed25519 key as encrypted PKCS#8, mode 0600; raises BadInput if the file is there."""
    write_key(path, Ed25519PrivateKey.generate(), passphrase)


def write_key(path: Path, key: Ed25519PrivateKey | MLDSA44PrivateKey, passphrase: bytes) -> None:
    """Write a key as encrypted PKCS#8, mode 0600; raises BadInput if the file is there."""
    _check_passphrase(passphrase)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput("key_exists", f"there is a key at {path}; it was left alone") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def load_signer(path: Path, passphrase: bytes, origin: str) -> Signer:
    """Open the log's key; raises BadInput when the file or the passphrase is wrong."""
    key = open_key(path, passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput("key_not_ed25519", f"the key at {path} is not an Ed25519 key")
    return Signer(check_name(origin), key)


def open_key(path: Path, passphrase: bytes) -> object:
    """Open a key of whatever kind; raises BadInput when the file or the passphrase is wrong."""
    _check_passphrase(passphrase)
    try:
        return serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except FileNotFoundError:
        raise BadInput("no_key", f"there is no key at {path}") from None
    except (ValueError, TypeError):
        raise BadInput(
            "key_not_opened", f"the key at {path} does not open", "check the passphrase file"
        ) from None


def _check_passphrase(passphrase: bytes) -> None:
    if not passphrase:
        raise BadInput("no_passphrase", "the passphrase is empty", "write a long random one into its file")
