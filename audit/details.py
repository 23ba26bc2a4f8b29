"""What the house knows of a person beyond an id, kept apart from the log so that it can be erased.

The leaf carries a commitment: the SHA-256 of 32 random bytes (the opening) and the words. The words and their
opening are sealed together under a key of the person (AES-256-GCM). Once row or key is gone, the leaf tells
nothing: an address or a short comment could be guessed from a bare hash of it, not from one with an unknown
opening. It commits to the words and not to their ciphertext: whoever holds the words and their opening can show
later that these words were recorded, to somebody without any key, and no second key opens the row to other words.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.checkpoint import Signer
from audit.errors import BadInput, LogDamaged
from audit.event import Code, Event, canonical, parse

# Each has its use: `client` and `browser` tell whose machine entered (CNIL, deliberation 2021-122), `comment` is why a
# person decided. Nothing else about a person is kept for an auditor (GDPR article 5(1)(c)).
Word = Literal["client", "browser", "comment"]
LONGEST: Final[dict[Word, int]] = {"client": 64, "browser": 256, "comment": 4_000}
MAX_DETAIL_BYTES: Final = 20_000  # 4,000 characters of four bytes, and the rest
MEMBER: Final = "detail"  # beside the event in what is posted

KEY_BYTES: Final = 32
OPENING_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D section 8.2.2, drawn at random
COMMITMENT: Final = b"enclave.audit.detail.v1\x00"
DETAIL_CONTEXT: Final = b"enclave.audit.detail.row.v1\x00"
PERSON_CONTEXT: Final = b"enclave.audit.detail.person.v1\x00"
KEY_CONTEXT: Final = b"enclave.audit.detail.key.v1"


class Detail(BaseModel):
    """Words about one person, by the pseudonymous id their key is kept under."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    person: Code
    words: dict[Word, Annotated[str, Field(min_length=1, max_length=4_000)]] = Field(min_length=1)

    def content(self) -> bytes:
        """Give the bytes that are committed to."""
        return canonical({"person": self.person, "words": dict(self.words)})


@dataclass(frozen=True)
class Opened:
    """A detail with the random bytes that tie it to its leaf."""

    detail: Detail
    opening: bytes

    def commitment(self) -> str:
        """Give what stands in the leaf, 64 hexadecimal digits."""
        return hashlib.sha256(COMMITMENT + self.opening + self.detail.content()).hexdigest()


def fresh(detail: Detail) -> Opened:
    """Give a detail an opening of its own."""
    return Opened(detail, os.urandom(OPENING_BYTES))


def parse_submitted(raw: bytes) -> tuple[Event, Detail | None]:
    """Read an event and the detail beside it, if there is one.

    Raises what `audit.event.parse` raises, and BadInput for a detail that is none, never with what it says.
    """
    taken, rest = _apart(raw)
    if taken is None:
        return parse(raw), None
    return parse(rest), _detail(taken)


def _apart(raw: bytes) -> tuple[Any, bytes]:
    if f'"{MEMBER}"'.encode() not in raw:
        return None, raw
    try:
        posted = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, raw
    if not isinstance(posted, dict) or MEMBER not in posted:
        return None, raw
    taken = posted.pop(MEMBER)
    return taken, orjson.dumps(posted)


def _detail(taken: Any) -> Detail:
    try:
        detail = Detail.model_validate(taken)
    except ValidationError:
        raise _no_detail() from None
    if any(len(text) > LONGEST[word] for word, text in detail.words.items()):
        raise _no_detail()
    return detail


def _no_detail() -> BadInput:
    longest = ", ".join(f"{word} (at most {most} characters)" for word, most in LONGEST.items())
    return BadInput(
        "detail_not_valid",
        "the detail beside the event is not a person and words about them; nothing was recorded",
        f"give some of: {longest}",
    )


def key_of(signer: Signer) -> bytes:
    """Give the key that wraps the keys of persons, drawn from a key file of its own (RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, None, KEY_CONTEXT).derive(signer.key.private_bytes_raw())


def wrap(key: bytes, person: str, person_key: bytes) -> bytes:
    """Seal a person's key under the recorder's."""
    return _seal(key, PERSON_CONTEXT + person.encode(), person_key)


def unwrap(key: bytes, person: str, wrapped: bytes) -> bytes:
    """Open a person's key; raises LogDamaged when it is not theirs or not sealed under this key."""
    return _open(key, PERSON_CONTEXT + person.encode(), wrapped)


def seal(person_key: bytes, event: str, opened: Opened) -> bytes:
    """Seal words and opening for the event of this id."""
    return _seal(person_key, DETAIL_CONTEXT + event.encode(), opened.opening + opened.detail.content())


def unseal(person_key: bytes, event: str, sealed: bytes) -> Opened:
    """Open what was sealed for an event; raises LogDamaged when it was changed or belongs elsewhere."""
    plain = _open(person_key, DETAIL_CONTEXT + event.encode(), sealed)
    content = orjson.loads(plain[OPENING_BYTES:])
    return Opened(Detail.model_validate(content), plain[:OPENING_BYTES])


def _seal(key: bytes, context: bytes, plain: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _open(key: bytes, context: bytes, sealed: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise LogDamaged(
            "detail_damaged",
            "a sealed detail does not open: it was changed, or its key is another one",
            "restore details.db and details.key from one and the same copy",
        ) from None
