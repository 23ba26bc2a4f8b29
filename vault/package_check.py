"""Checks a sealed release from its bytes and a public key alone: numbered steps, each with what it found."""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from vault.errors import VaultUsage
from vault.file_names import check_file_names
from vault.log_proof import LogProof, ProofWrong, check_inclusion, check_log_signature, read_log_proof
from vault.package import (
    BESIDE,
    CHECKPOINT,
    DSSE,
    INSIDE,
    LOG_PROOF,
    MAX_FILES,
    MAX_PACKAGE_BYTES,
    MINISIG,
    OUTPUTS,
    PAYLOAD_MANIFEST,
    PUBLIC_KEY,
    STAMP,
    TAG_MANIFEST,
    artefact_of,
)
from vault.release_words import UUID
from vault.signatures import Key, SignatureWrong, check_dsse, check_minisign

MAX_ENTRIES: Final = MAX_FILES + len(INSIDE) + len(BESIDE) + 1  # the time stamp
MAX_BYTES: Final = MAX_PACKAGE_BYTES + 64 * 1024 * 1024
ENCRYPTED: Final = 0x1
# What zipfile lets through of a broken archive
UNREADABLE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    OSError,
    ValueError,
    EOFError,
)

Verdict = Literal["ok", "failed", "not_checked"]
Files = Mapping[str, bytes]


class _Wrong(Exception):
    """What a step found wrong."""


@dataclass(frozen=True)
class Step:
    """One numbered step of the check."""

    number: int
    name: str
    verdict: Verdict
    found: str


@dataclass(frozen=True)
class PackageReport:
    """What the check found, in order."""

    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """True when no step failed."""
        return all(step.verdict != "failed" for step in self.steps)


@dataclass(frozen=True)
class _Opened:
    """A package taken apart: the bag's files by path below its folder, and the files beside it."""

    request: str
    bag: Files
    beside: Files


def verify_package(package: bytes, public_key: bytes, log_vkey: str | None = None) -> PackageReport:
    """Check a package in full; without the log's verifier key its signature is reported as not checked."""
    key = Key(public_key)
    try:
        opened = _open(package)
    except (_Wrong, VaultUsage) as wrong:
        return PackageReport((Step(1, "archive", "failed", str(wrong)),))
    first = Step(1, "archive", "ok", f"{len(opened.bag)} files in the bag, {len(opened.beside)} beside it")
    checks: list[tuple[str, Callable[[], str]]] = [
        ("signature", lambda: _check_signature(opened, key)),
        ("tag manifest", lambda: _check_tag_manifest(opened)),
        ("payload", lambda: _check_payload(opened)),
        ("statement", lambda: _check_statement(opened, key)),
        ("log entry", lambda: _check_entry(opened)),
    ]
    steps = [first, *(_run(number, name, check) for number, (name, check) in enumerate(checks, 2))]
    number = len(steps) + 1
    if log_vkey is None:
        steps.append(Step(number, "log signature", "not_checked", "no verifier key of the log was given"))
    else:
        steps.append(_run(number, "log signature", lambda: _check_log(opened, log_vkey)))
    return PackageReport(tuple(steps))


def checked_artefact(package: bytes, public_key: bytes) -> str | None:
    """Give the SHA-256 of a package's tag manifest, which the log names; None for one that fails its check."""
    if not verify_package(package, public_key).ok:
        return None
    return hashlib.sha256(_tag(_open(package), TAG_MANIFEST)).hexdigest()


def _run(number: int, name: str, check: Callable[[], str]) -> Step:
    try:
        return Step(number, name, "ok", check())
    except (_Wrong, SignatureWrong, ProofWrong) as wrong:
        return Step(number, name, "failed", str(wrong))


def _open(package: bytes) -> _Opened:
    files = _unzip(package)
    beside = {path: content for path, content in files.items() if "/" not in path}
    folders = {path.partition("/")[0] for path in files if "/" in path}
    if set(beside) - {STAMP} != set(BESIDE) or len(folders) != 1:
        raise _Wrong("the archive does not hold one bag and the files that belong beside it")
    folder = folders.pop()
    bag = {path.partition("/")[2]: content for path, content in files.items() if "/" in path}
    outputs = {path for path in bag if path.startswith(OUTPUTS)}
    check_file_names(path.removeprefix(OUTPUTS) for path in outputs)
    if UUID.fullmatch(folder) is None or set(bag) - outputs - set(INSIDE):
        raise _Wrong("the bag holds a file that no release has")
    return _Opened(folder, bag, beside)


def _unzip(package: bytes) -> dict[str, bytes]:
    """Unpack within limits, whatever the directory says of the sizes."""
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(infos) > MAX_ENTRIES or sum(info.file_size for info in infos) > MAX_BYTES:
                raise _Wrong("the archive is larger than a package may be")
            if len(set(names)) != len(names) or any(info.flag_bits & ENCRYPTED for info in infos):
                raise _Wrong("the archive holds a name twice, or an encrypted file")
            return {info.filename: archive.read(info) for info in infos}
    except UNREADABLE:
        raise _Wrong("it is not a readable zip archive") from None


def _check_signature(opened: _Opened, key: Key) -> str:
    if opened.beside[PUBLIC_KEY] != key.minisign_text().encode():
        raise _Wrong(f"{PUBLIC_KEY} is not the key you gave")
    comment = check_minisign(_text(opened.beside[MINISIG]), _tag(opened, TAG_MANIFEST), key)
    if not comment.startswith(f"release {opened.request} "):
        raise _Wrong("the signature is of another release")
    return comment


def _check_tag_manifest(opened: _Opened) -> str:
    present = {path for path in opened.bag if not path.startswith("data/")} - {TAG_MANIFEST}
    return _check_hashes(opened, TAG_MANIFEST, present)


def _check_payload(opened: _Opened) -> str:
    return _check_hashes(opened, PAYLOAD_MANIFEST, {path for path in opened.bag if path.startswith("data/")})


def _check_hashes(opened: _Opened, manifest: str, present: set[str]) -> str:
    """Check that a manifest lists what is present, nothing else, and the right hash of each."""
    listed = {}
    for line in _text(_tag(opened, manifest)).splitlines():
        digest, _, path = line.partition("  ")
        listed[path] = digest
    if set(listed) != present:
        odd = sorted(set(listed) ^ present)
        raise _Wrong(f"{len(odd)} files are missing or not listed, first {odd[0]!r}")
    for path in sorted(present):
        if hashlib.sha512(opened.bag[path]).hexdigest() != listed[path]:
            raise _Wrong(f"{path} was changed")
    return f"{len(present)} files have the listed SHA-512"


def _check_statement(opened: _Opened, key: Key) -> str:
    statement = check_dsse(opened.beside[DSSE], key)
    tag = f"{opened.request}/{TAG_MANIFEST}"
    files = {**opened.beside, tag: _tag(opened, TAG_MANIFEST)}
    signed = _subjects(statement)
    if set(signed) != set(files) - {MINISIG, DSSE}:
        raise _Wrong("the statement is about other files")
    for name, digest in signed.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise _Wrong(f"{name} is not the one that was signed")
    return f"{len(signed)} files as signed"


def _subjects(statement: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    except (KeyError, TypeError):
        raise _Wrong("the statement names no files") from None


def _check_entry(opened: _Opened) -> str:
    proof = _proof(opened)
    check_inclusion(proof)
    if proof.note.encode() != opened.beside[CHECKPOINT]:
        raise _Wrong(f"{CHECKPOINT} is not the one of the proof")
    if artefact_of(proof.event()) != hashlib.sha256(_tag(opened, TAG_MANIFEST)).hexdigest():
        raise _Wrong("the logged event is about another package")
    return f"entry {proof.index} of the log names this package"


def _check_log(opened: _Opened, log_vkey: str) -> str:
    check_log_signature(_proof(opened).note, log_vkey)
    return "the log signed the checkpoint"


def _proof(opened: _Opened) -> LogProof:
    return read_log_proof(_text(opened.beside[LOG_PROOF]))


def _tag(opened: _Opened, name: str) -> bytes:
    if name not in opened.bag:
        raise _Wrong(f"{name} is missing")
    return opened.bag[name]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _Wrong("a text file is not UTF-8") from None


def as_json(report: PackageReport) -> dict[str, Any]:
    """Give a report as plain values."""
    return {"ok": report.ok, "steps": [vars(step) for step in report.steps]}
