"""A second signature on published checkpoints, which a quantum computer is not known to forge: ML-DSA-44 (FIPS 204).

C2SP signed-note has one type for this key, 0x06, and tlog-cosignature says what it signs: the signer's name, a time,
the log's name, the size and the root. The log gives it under its own name. Whoever does not know the type ignores it.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from audit.checkpoint import (
    DASH,
    ML_DSA_44,
    Checkpoint,
    Verifier,
    encode64,
    open_key,
    read_checkpoint,
    read_note,
    write_key,
)
from audit.errors import BadInput, ProofWrong

VKEY: Final = "vkey-ml-dsa-44"
KEY_SUFFIX: Final = "-ml-dsa-44"
LABEL: Final = b"subtree/v1\n\0"
NUMBER: Final = struct.Struct(">Q")
SIGNATURE_BYTES: Final = 2_420
LONGEST_NAME: Final = 255
MAX_TIME: Final = 2**63 - 1


@dataclass(frozen=True)
class SecondSigner:
    """The log's ML-DSA-44 key with the name it signs under."""

    name: str
    key: MLDSA44PrivateKey

    @property
    def verifier(self) -> Verifier:
        """Give the public side."""
        return Verifier(self.name, self.key.public_key().public_bytes_raw(), ML_DSA_44)

    def line(self, checkpoint: Checkpoint, seconds: int) -> str:
        """Give the signature line over a checkpoint at a time (POSIX seconds)."""
        signature = self.key.sign(_message(self.name, checkpoint, seconds))
        coded = encode64(self.verifier.key_id + NUMBER.pack(seconds) + signature)
        return f"{DASH} {self.name} {coded}\n"


def check_second(note: str, verifier: Verifier) -> int:
    """Give the time (POSIX seconds) of the second signature of a note.

    Raises ProofWrong when the note is malformed, is not signed by this key, or a signature of it does not hold.
    """
    lines = read_note(note).of(verifier)
    if not lines:
        raise ProofWrong("no_second_signature", "the checkpoint has no second signature of this key")
    return max(_checked(read_checkpoint(note), raw, verifier) for raw in lines)


def _checked(checkpoint: Checkpoint, raw: bytes, verifier: Verifier) -> int:
    if len(raw) != NUMBER.size + SIGNATURE_BYTES:
        raise ProofWrong("bad_second_signature", "the second signature has the wrong length")
    (seconds,) = NUMBER.unpack(raw[: NUMBER.size])
    if seconds > MAX_TIME:
        raise ProofWrong("bad_second_signature", "the second signature's time is out of range")
    message = _message(verifier.name, checkpoint, seconds)
    try:
        MLDSA44PublicKey.from_public_bytes(verifier.public).verify(raw[NUMBER.size :], message)
    except InvalidSignature:
        raise ProofWrong(
            "second_signature_wrong", "the second signature does not fit the checkpoint"
        ) from None
    return int(seconds)


def _message(name: str, checkpoint: Checkpoint, seconds: int) -> bytes:
    """Give tlog-cosignature's `cosigned_message` for a whole log: it starts at 0."""
    return b"".join(
        [
            LABEL,
            _short(name),
            NUMBER.pack(seconds),
            _short(checkpoint.origin),
            NUMBER.pack(0),
            NUMBER.pack(checkpoint.size),
            checkpoint.root,
        ]
    )


def _short(text: str) -> bytes:
    raw = text.encode()
    return bytes([len(raw)]) + raw


def second_key_file(key_file: Path) -> Path:
    """Give where the second key lies: beside the log's own, under the same passphrase."""
    return key_file.with_name(f"{key_file.stem}{KEY_SUFFIX}{key_file.suffix}")


def open_second(key_file: Path, passphrase: bytes, name: str) -> SecondSigner:
    """Open the second key beside a log's key, and make it at the first start.

    Raises BadInput when the file or the passphrase is wrong.
    """
    if len(name.encode()) > LONGEST_NAME:
        raise BadInput("bad_origin", f"a name under which ML-DSA-44 signs has at most {LONGEST_NAME} bytes")
    path = second_key_file(key_file)
    if not path.exists():
        write_key(path, MLDSA44PrivateKey.generate(), passphrase)
    key = open_key(path, passphrase)
    if not isinstance(key, MLDSA44PrivateKey):
        raise BadInput("key_not_ml_dsa", f"the key at {path} is not an ML-DSA-44 key")
    return SecondSigner(name, key)
