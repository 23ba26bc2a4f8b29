"""One spelling for every address: decoded once, checked, and written again, so that what is judged is what is sent.

Two readers of one address who disagree on its meaning are how a closed door is passed: `%66iles`, `a/../files`
and `%2e%2e` all named a closed path to a server while a filter read another (RFC 3986 section 6.2).
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

from enclave.errors import BadInput

TARGET_CHARACTERS_MAX = 8192
SEGMENTS_MAX = 64
# sub-delims, ":" and "@" of RFC 3986 may stand for themselves in a path segment
SEGMENT_SAFE = "!$&'()*+,;=:@~"
_RAW = re.compile(r"[!-~]+")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class Target:
    """Where a request goes: decoded names, whether the path ends in a slash, and the query as it was sent."""

    segments: tuple[str, ...]
    is_folder: bool
    query: str

    @property
    def path(self) -> str:
        """The one spelling of the path."""
        joined = "/".join(quote(segment, safe=SEGMENT_SAFE) for segment in self.segments)
        return f"/{joined}/" if self.is_folder and self.segments else f"/{joined}"


def _malformed(why: str) -> BadInput:
    return BadInput("malformed_address", f"The address cannot be read: {why}.")


def _decode(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise _malformed("a broken escape")
    try:
        raw = re.sub(rb"%(..)", lambda escape: bytes.fromhex(escape[1].decode()), text.encode("ascii"))
        return raw.decode()
    except UnicodeDecodeError:
        raise _malformed("not UTF-8") from None


def _read_segment(text: str) -> str:
    segment = _decode(text)
    if segment in {".", ".."}:
        raise _malformed("a dot segment")
    if "/" in segment or "\\" in segment:
        raise _malformed("a slash within a name")
    if _ESCAPE.search(segment):
        raise _malformed("escaped twice")
    if any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in segment):
        raise _malformed("a character that is not seen")
    return segment


def _check_query(query: str) -> None:
    text = _decode(query)
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise _malformed("a control character")


def read_target(raw: str) -> Target:
    """Read the target of a request line. Raises `BadInput` for any spelling that two readers could read apart."""
    if len(raw) > TARGET_CHARACTERS_MAX or not _RAW.fullmatch(raw) or "#" in raw:
        raise _malformed("too long, or not plain ASCII")
    path, _, query = raw.partition("?")
    if not path.startswith("/") or "//" in path:
        raise _malformed("not one absolute path")
    _check_query(query)
    is_folder = path.endswith("/")
    inner = path.strip("/")
    parts = inner.split("/") if inner else []
    if len(parts) > SEGMENTS_MAX:
        raise _malformed("too deep")
    return Target(tuple(_read_segment(part) for part in parts), is_folder, query)
