"""Walk a PNG chunk by chunk: what it shows must be all it holds."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from anonymisation.disclosure.content import NOWHERE, at
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.disclosure.policy import DisclosurePolicy

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# Chunks that only say how to show the points; any other may carry something else.
PLAIN: Final = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"bKGD"}
)
LARGEST_PLAIN: Final = 1024
SAMPLES: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS: Final = frozenset({1, 2, 4, 8, 16})
HEADER_BYTES, FRAME_BYTES = 13, 12
# What matplotlib writes by itself.
_SOFTWARE = re.compile(rb"Software\x00Matplotlib version[0-9a-z.+]{1,30}, https://matplotlib\.org/?")


class Damaged(Exception):
    """Bytes that are no well-formed PNG."""


@dataclass
class _Seen:
    header: bytes = b""
    points: list[bytes] = field(default_factory=list)
    strange: bool = False
    end: int = 0


def hits(data: bytes, policy: DisclosurePolicy) -> Iterator[Hit]:
    """Find what a picture carries beside its points."""
    try:
        seen = _walk(data)
        whole = _points_fit(seen, policy)
    except (Damaged, struct.error, zlib.error):
        yield "png_damaged", NOWHERE
        return
    if seen.end < len(data):
        yield "png_tail", at(f"après l'octet {seen.end}", f"after byte {seen.end}")
    if seen.strange:
        yield "png_metadata", NOWHERE
    if not whole:
        yield "png_pixels", NOWHERE
    yield "figure", NOWHERE


def _walk(data: bytes) -> _Seen:
    if not data.startswith(SIGNATURE):
        raise Damaged
    seen, place = _Seen(), len(SIGNATURE)
    while not seen.end:
        size, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + size]
        if len(body) < size or zlib.crc32(kind + body) != struct.unpack_from(">I", data, place + 8 + size)[0]:
            raise Damaged
        place += size + FRAME_BYTES
        _note(seen, kind, body, place)
    return seen


def _note(seen: _Seen, kind: bytes, body: bytes, place: int) -> None:
    if (kind == b"IHDR") == bool(seen.header):
        raise Damaged  # the header comes first, and once
    if kind == b"IHDR":
        seen.header = body
    elif kind == b"IDAT":
        seen.points.append(body)
    elif kind == b"IEND":
        seen.end = place
        seen.strange |= bool(body)
    elif kind == b"tEXt":
        seen.strange |= _SOFTWARE.fullmatch(body) is None
    else:
        seen.strange |= kind not in PLAIN or len(body) > LARGEST_PLAIN


def _points_fit(seen: _Seen, policy: DisclosurePolicy) -> bool:
    """Tell whether the compressed points unpack to exactly what the header announces, and no further."""
    if len(seen.header) != HEADER_BYTES:
        raise Damaged
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", seen.header)
    if colour not in SAMPLES or depth not in DEPTHS or not width or not height:
        raise Damaged
    expected = height * (1 + (width * depth * SAMPLES[colour] + 7) // 8)
    if interlaced or width * height > policy.image_pixels or expected > policy.unpacked_bytes:
        return False
    reader = zlib.decompressobj()
    unpacked = reader.decompress(b"".join(seen.points), expected + 1)
    return len(unpacked) == expected and reader.eof and not reader.unused_data and not reader.unconsumed_tail
