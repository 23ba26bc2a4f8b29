"""Bytes that leave as an attachment, never as a page of this site."""

from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from enclave.web.sheets import Download


def attachment(download: Download) -> Response:
    """Send a download under a plain name (RFC 6266); the browser is told not to guess what it is."""
    plain = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_"
        for letter in download.name
    )
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(download.name, safe='')}"
    return StreamingResponse(
        iter(download.chunks),
        media_type="application/octet-stream",
        headers={"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"},
    )
