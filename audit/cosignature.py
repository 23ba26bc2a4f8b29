"""What a witness says of a checkpoint (C2SP tlog-cosignature, Ed25519), which the log's own key cannot say.

It says that at this time the checkpoint was the largest consistent one it had seen.
"""

import struct
from typing import Final

from audit.checkpoint import COSIGNATURE, DASH, Signer, Verifier, check_ed25519, encode64, read_note
from audit.errors import ProofWrong

TIME: Final = struct.Struct(">Q")
MAX_TIME: Final = 2**63 - 1
SIGNATURE_BYTES: Final = 64


def witness_key(signer: Signer) -> Verifier:
    """Give the public side of a key that cosigns; its id differs from that of a log's key."""
    return Verifier(signer.name, signer.verifier.public, COSIGNATURE)


def cosign(signer: Signer, body: str, seconds: int) -> str:
    """Give the signature line over a checkpoint's body at a time (POSIX seconds)."""
    signature = signer.key.sign(_message(body, seconds))
    coded = encode64(witness_key(signer).key_id + TIME.pack(seconds) + signature)
    return f"{DASH} {signer.name} {coded}\n"


def cosigned_at(note: str, witness: Verifier) -> int | None:
    """Give the time (POSIX seconds) at which a witness cosigned a note, None when it did not.

    Raises ProofWrong when the note is malformed or a line that says it is of this witness does not hold.
    """
    signed = read_note(note)
    times = [_checked(signed.body, raw, witness) for raw in signed.of(witness)]
    return max(times, default=None)


def _checked(body: str, raw: bytes, witness: Verifier) -> int:
    if len(raw) != TIME.size + SIGNATURE_BYTES:
        raise ProofWrong("bad_cosignature", "a cosignature has the wrong length")
    (seconds,) = TIME.unpack(raw[: TIME.size])
    if seconds > MAX_TIME:
        raise ProofWrong("bad_cosignature", "a cosignature's time is out of range")
    check_ed25519(witness.public, raw[TIME.size :], _message(body, seconds))
    return int(seconds)


def _message(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()
