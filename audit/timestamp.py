"""Time stamps of somebody else over a checkpoint (RFC 3161): the only door to rfc3161-client.

A stamp shows that these bytes were there at that time. `openssl ts -verify` checks the same file.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit.ask import post
from audit.errors import BadInput, LogUnavailable, ProofWrong

QUERY: Final = "application/timestamp-query"
GRANTED: Final = 0


def read_roots(pem: bytes) -> tuple[Certificate, ...]:
    """Read the certificates a stamp must lead to; raises BadInput when there is none."""
    try:
        return tuple(load_pem_x509_certificates(pem))
    except ValueError:
        raise BadInput(
            "bad_certificate", "the file holds no PEM certificate", "ask the stamp's issuer"
        ) from None


def stamp(address: str, data: bytes) -> bytes:
    """Ask a time-stamping authority for a stamp over bytes; gives the response as it came.

    Raises LogUnavailable when there is no answer, or one that is not a stamp over these bytes.
    """
    asked = TimestampRequestBuilder().data(data).nonce(nonce=True).cert_request(cert_request=True).build()
    answer = post(address, asked.as_bytes(), QUERY)
    told = _decoded(answer.body) if answer.status == 200 else None  # noqa: PLR2004  (HTTP)
    if told is None or told.status != GRANTED:
        raise LogUnavailable("no_stamp", "the time-stamping authority gave no stamp", "ask it why")
    info = told.tst_info
    if info.message_imprint.message != asked.message_imprint.message or info.nonce != asked.nonce:
        raise LogUnavailable(
            "other_stamp", "the time-stamping authority stamped something else", "ask it why"
        )
    return answer.body


def stamped_at(response: bytes, data: bytes, roots: Sequence[Certificate]) -> datetime:
    """Give the time of a stamp over bytes; raises ProofWrong when it does not lead to one of the roots."""
    told = _decoded(response)
    if told is None:
        raise ProofWrong("bad_stamp", "a time stamp cannot be read")
    for root in roots:
        if _holds(told, data, root):
            return told.tst_info.gen_time
    raise ProofWrong("stamp_wrong", "a time stamp does not fit its checkpoint, or comes from somebody else")


def _holds(told: TimeStampResponse, data: bytes, root: Certificate) -> bool:
    try:
        return VerifierBuilder().add_root_certificate(root).build().verify_message(told, data)
    except VerificationError:
        return False


def _decoded(response: bytes) -> TimeStampResponse | None:
    try:
        return decode_timestamp_response(response)
    except ValueError:
        return None
