"""The trail in the forms other systems read: lines, tables, syslog, FHIR, PROV.

Each is a projection for reading and searching. None is the evidence: what is proved are the bytes in the tiles.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from audit.errors import BadInput, LogDamaged
from audit.event import as_submitted, parse
from audit.fhir import audit_event
from audit.prov import provenance
from audit.report import Report
from audit.retention_pruning import read_pruned
from audit.tiles import WIDTH, WIDTH_BITS, TileReader
from audit.tree import leaf_hash
from audit.verify import verify

Event = Mapping[str, Any]

COLUMNS: Final = (
    "seq", "ts", "occurred", "type", "phase", "outcome", "reason", "actor", "role", "service", "project", "purpose",
    "objects", "request", "corr", "id", "leaf_sha256",
)  # fmt: skip
FACILITY: Final = 13  # RFC 5424 table 1: log audit
SEVERITY: Final = {"denied": 4, "failed": 3}  # warning, error; everything else is informational
INFORMATIONAL: Final = 6
STRUCTURED: Final = "enclave@32473"  # 32473 is the enterprise number for documentation (RFC 5612)
PROV: Final = "prov"


def entries(directory: Path, size: int) -> Iterator[bytes]:
    """Give the entries of a trail in order, from the first that was not pruned."""
    reader = TileReader(directory, size)
    pruned = read_pruned(directory)
    for start in range(0 if pruned is None else pruned.boundary, size, WIDTH):
        yield from reader.bundle(start >> WIDTH_BITS)


def flat(event: Event, leaf: str) -> dict[str, Any]:
    """Give an event as one row of COLUMNS; what is absent is empty."""
    row = {name: event.get(name, "") for name in COLUMNS}
    row["actor"], row["role"] = event["actor"]["id"], event["actor"].get("role", "")
    row["service"] = event["source"]["service"]
    row["objects"] = " ".join(f"{each['kind']}:{each['id']}" for each in event.get("object", ()))
    row["request"] = event.get("release", {}).get("request", "")
    row["leaf_sha256"] = leaf
    return row


def json_lines(read: Iterable[bytes]) -> Iterator[str]:
    """Give each entry exactly as it stands in the log, one a line."""
    return (f"{entry.decode()}\n" for entry in read)


def csv_table(read: Iterable[bytes]) -> Iterator[str]:
    """Give a table (RFC 4180) with a head."""
    written = io.StringIO()
    rows = csv.DictWriter(written, COLUMNS)
    rows.writeheader()
    for entry in read:
        rows.writerow(flat(_event(entry), leaf_hash(entry).hex()))
        yield written.getvalue()
        written.seek(0)
        written.truncate()
    yield written.getvalue()


def syslog(read: Iterable[bytes]) -> Iterator[str]:
    """Give one RFC 5424 message a line, everything in its structured data."""
    for entry in read:
        event = _event(entry)
        priority = FACILITY * 8 + SEVERITY.get(event.get("outcome", ""), INFORMATIONAL)
        row = flat(event, leaf_hash(entry).hex())
        told = "".join(f' {name}="{_escaped(str(value))}"' for name, value in row.items() if value != "")
        service = event["source"]["service"][:48]
        yield f"<{priority}>1 {event['ts']} - {service} - {event['type']} [{STRUCTURED}{told}]\n"


def fhir(read: Iterable[bytes]) -> Iterator[str]:
    """Give one FHIR R4 AuditEvent a line (NDJSON)."""
    return (orjson.dumps(audit_event(_event(entry))).decode() + "\n" for entry in read)


FORMATS: Final[dict[str, Callable[[Iterable[bytes]], Iterator[str]]]] = {
    "jsonl": json_lines,
    "csv": csv_table,
    "syslog": syslog,
    "fhir": fhir,
}
NAMES: Final = (*FORMATS, PROV)


def project(directory: Path, out: Path, form: str, request: str | None = None) -> Report:
    """Write a projection of a trail to a new private file; `request` names the release of a PROV document.

    Only a trail that verifies is projected. Raises BadInput for an unknown form, a PROV document without a
    request or of one that is not in the trail, or a file that is there, and LogDamaged when the trail is
    damaged.
    """
    _check(out, form, request)
    report = verify(directory)
    if not report.integrity:
        raise LogDamaged("trail_damaged", "the trail does not verify; nothing was exported", "verify it")
    read = entries(directory, report.size)
    lines = FORMATS[form](read) if form in FORMATS else [_provenance(read, request or "", report)]
    _write(out, lines)
    return report


def _check(out: Path, form: str, request: str | None) -> None:
    if form not in NAMES:
        raise BadInput("unknown_format", "there is no such format", f"use one of {', '.join(NAMES)}")
    if (form == PROV) is (request is None):
        raise BadInput("prov_of_a_request", "a PROV document, and only that, is of one release request")
    if out.exists():
        raise BadInput("export_not_empty", f"there is something at {out}", "give a new name")


def _write(out: Path, lines: Iterable[str]) -> None:
    unfinished = out.with_name(f"{out.name}.partial")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        file.writelines(lines)
    unfinished.rename(out)


def _provenance(read: Iterable[bytes], request: str, report: Report) -> str:
    needle = request.encode()
    about = [event for entry in read if needle in entry and _of(event := _event(entry), request)]
    if not about:
        raise BadInput("no_such_request", "no event of the trail is about this request", "check its number")
    told = provenance(about, request, report.origin)
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n"


def _of(event: Event, request: str) -> bool:
    return bool(event.get("release", {}).get("request") == request)


def _event(entry: bytes) -> dict[str, Any]:
    """Read an entry in full, so that a projection can rely on every field."""
    try:
        parse(as_submitted(entry))
    except BadInput as wrong:
        raise LogDamaged("not_an_event", "an entry of the trail is not an event", "verify it") from wrong
    event: dict[str, Any] = orjson.loads(entry)
    return event


def _escaped(text: str) -> str:
    """Escape a parameter's value (RFC 5424 section 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
