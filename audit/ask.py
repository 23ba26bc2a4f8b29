"""One bounded HTTP request to somebody outside: a witness or a time-stamping authority."""

import http.client
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from audit.errors import BadInput, LogUnavailable

SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


def post(address: str, body: bytes, content_type: str) -> Answer:
    """Send bytes; raises BadInput for an address that is no web address and LogUnavailable without an answer."""
    place = urlsplit(address)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if place.scheme not in kinds or not place.hostname:
        raise BadInput("bad_address", "the address is not of the form https://host/path", "correct it")
    connection = kinds[place.scheme](place.hostname, place.port, timeout=SECONDS)
    try:
        connection.request("POST", place.path or "/", body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read(MAX_ANSWER_BYTES))
    except (OSError, http.client.HTTPException) as error:
        raise LogUnavailable(
            "no_answer", f"{place.hostname} did not answer ({type(error).__name__})", "try again later"
        ) from None
    finally:
        connection.close()
