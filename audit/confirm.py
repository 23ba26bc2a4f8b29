"""Has a checkpoint confirmed from outside: cosigned by witnesses, stamped by a time-stamping authority.

Needs no key of the log, only its public files, and writes beside them: `confirmed/<size>.checkpoint` is the
checkpoint with the witnesses' lines, `confirmed/<size>.checkpoint.tsr` the stamp over exactly that file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.ask import Answer, post
from audit.checkpoint import COSIGNATURE, DASH, DECIMAL, Verifier, encode64, open_checkpoint, read_vkey
from audit.cosignature import cosigned_at
from audit.errors import AuditError, BadInput, LogDamaged, LogUnavailable, ProofWrong
from audit.log import VKEY
from audit.tiles import CHECKPOINT, TileReader, clear_scratch, write_files
from audit.timestamp import stamp
from audit.tree import consistency_path

FOLDER: Final = "confirmed"
STAMP: Final = ".tsr"
OK, CONFLICT, UNPROCESSABLE = 200, 409, 422


@dataclass(frozen=True)
class Partner:
    """A witness to ask: its key and where it answers."""

    key: Verifier
    address: str


@dataclass(frozen=True)
class Confirmation:
    """What came of one round; `refusals` are told in words, the gravest error first."""

    size: int
    witnesses: tuple[str, ...]
    stamped: bool
    refusals: tuple[AuditError, ...]


def read_partner(text: str) -> Partner:
    """Read `VKEY URL`; raises BadInput when it is not that."""
    key, _, address = text.strip().partition(" ")
    if not address.startswith(("http://", "https://")):
        raise BadInput(
            "bad_witness", "a witness is given as `VKEY URL`", "ask the partner who runs it for both"
        )
    return Partner(read_vkey(key, COSIGNATURE), address.strip().rstrip("/"))


def confirmed_name(size: int) -> str:
    """Give the file name of the confirmed checkpoint of a size; names sort as sizes do."""
    return f"{size:012d}.checkpoint"


def confirm(directory: Path, partners: Sequence[Partner], stamper: str | None = None) -> Confirmation:
    """Ask for confirmation of the checkpoint the folder shows now.

    Nothing is asked when this size was confirmed before. Raises BadInput when there is no trail and ProofWrong
    when its checkpoint is not signed by the folder's key; what the partners refuse is in the answer.
    """
    note, reader = _shown(directory)
    name = confirmed_name(reader.size)
    if not reader.size or (directory / FOLDER / name).exists():
        return Confirmation(reader.size, (), stamped=False, refusals=())
    lines: dict[str, str] = {}
    refusals: list[AuditError] = []
    for partner in partners:
        try:
            lines[partner.key.name] = _asked(partner, note, reader)
        except AuditError as refusal:
            refusals.append(refusal)
    files = {name: (note + "".join(lines.values())).encode()}
    if stamper is not None:
        try:
            files[name + STAMP] = stamp(stamper, files[name])
        except AuditError as refusal:
            refusals.append(refusal)
    if lines or name + STAMP in files:
        try:
            _write(directory / FOLDER, files)
        except OSError as error:
            lines, files = {}, {}
            refusals.append(_not_kept(error))
    refusals.sort(key=lambda each: not isinstance(each, LogDamaged))
    return Confirmation(reader.size, tuple(lines), name + STAMP in files, tuple(refusals))


def _shown(directory: Path) -> tuple[str, TileReader]:
    try:
        note = (directory / CHECKPOINT).read_text(encoding="utf-8")
        verifier = read_vkey((directory / VKEY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("no_trail", f"there is no trail in {directory}") from None
    return note, TileReader(directory, open_checkpoint(note, verifier).size)


def _not_kept(error: OSError) -> LogUnavailable:
    return LogUnavailable(
        "confirmation_not_kept",
        f"the confirmation cannot be written ({error.strerror})",
        "free space or mount the folder for writing",
    )


def _write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    clear_scratch(folder)
    write_files(folder, files)


def _asked(partner: Partner, note: str, reader: TileReader) -> str:
    """Give the witness's line; raises LogDamaged when it has seen another log, LogUnavailable otherwise."""
    old = 0
    told = _send(partner, note, reader, old)
    if told.status == CONFLICT:
        old = _size(told.body)
        if old > reader.size:
            what = f"{old} entries, this log shows {reader.size}: it was rolled back"
            raise _has_seen_another(what, partner)
        told = _send(partner, note, reader, old)
    if told.status in {UNPROCESSABLE, CONFLICT}:
        raise _has_seen_another("other entries: this log was rewritten or forked", partner)
    if told.status != OK:
        raise _refuses(partner, told.status)
    return _line(partner, note, told.body)


def _send(partner: Partner, note: str, reader: TileReader, old: int) -> Answer:
    path = "".join(f"{encode64(each)}\n" for each in consistency_path(old, reader.size, reader.node))
    body = f"old {old}\n{path}\n{note}".encode()
    return post(f"{partner.address}/add-checkpoint", body, "text/plain")


def _size(body: bytes) -> int:
    text = body.decode(errors="replace").removesuffix("\n")
    if not DECIMAL.fullmatch(text):
        raise LogUnavailable("bad_answer", "a witness answered something else than a size", "ask who runs it")
    return int(text)


def _refuses(partner: Partner, status: int) -> LogUnavailable:
    return LogUnavailable(
        "witness_refuses", f"{partner.key.name} did not cosign (HTTP {status})", "ask who runs it"
    )


def _line(partner: Partner, note: str, body: bytes) -> str:
    """Give the one line that is of this witness and holds; whatever else came is ignored."""
    for line in body.decode(errors="replace").split("\n"):
        try:
            if line.startswith(DASH) and cosigned_at(f"{note}{line}\n", partner.key) is not None:
                return f"{line}\n"
        except ProofWrong:
            continue
    raise LogUnavailable(
        "no_cosignature", f"{partner.key.name} answered without its cosignature", "ask who runs it"
    )


def _has_seen_another(what: str, partner: Partner) -> LogDamaged:
    return LogDamaged(
        "witness_saw_another",
        f"{partner.key.name} has seen {what}",
        "keep the folder as it is and call the auditor",
    )
