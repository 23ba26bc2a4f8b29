"""The sealed release: an RO-Crate in a BagIt bag, and beside it what proves who released it and when.

Two steps, because the log must hold the bag before the bag is signed: `build_bag` gives the bag and the hash of its
tag manifest, the caller records that hash, and `seal` signs, adds the log's proof and gives the zip. The same
inputs give the same bytes.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import orjson

from vault.certificate import certificate, read_me
from vault.crate import METADATA_NAME, crate_metadata
from vault.errors import VaultRefused, VaultUsage
from vault.file_names import check_file_names
from vault.log_proof import LogProof, ProofWrong, check_inclusion, read_log_proof
from vault.receipt import Receipt, check_receipt
from vault.release_words import PackageRequest, check_request, one_line
from vault.signatures import STATEMENT_TYPE, Key, Sign, dsse, minisign

PACKAGE_ACTS: Final = frozenset({"release.package"})
PREDICATE_TYPE: Final = "urn:enclave:release:v1"
MAX_FILES: Final = 1000
MAX_PACKAGE_BYTES: Final = 256 * 1024 * 1024
PAYLOAD_MANIFEST: Final = "manifest-sha512.txt"
TAG_MANIFEST: Final = "tagmanifest-sha512.txt"
MINISIG: Final = f"{TAG_MANIFEST}.minisig"
DSSE: Final = "tagmanifest.dsse.json"
LOG_PROOF: Final = "release.tlog-proof"
CHECKPOINT: Final = "checkpoint"
STAMP: Final = "checkpoint.tsr"  # only where a time-stamping authority answered
PUBLIC_KEY: Final = "minisign.pub"
CERTIFICATE: Final = "certificate.html"
READ_ME: Final = "LISEZ-MOI.txt"
OUTPUTS: Final = "data/outputs/"
CHECKS: Final = "data/review/checks.json"
DECISION: Final = "data/review/decision.json"
INSIDE: Final = (
    "bagit.txt",
    "bag-info.txt",
    PAYLOAD_MANIFEST,
    TAG_MANIFEST,
    CHECKS,
    DECISION,
    f"data/{METADATA_NAME}",
)
BESIDE: Final = (MINISIG, DSSE, LOG_PROOF, CHECKPOINT, PUBLIC_KEY, CERTIFICATE, READ_ME)
# Zip times begin in 1980; the packaging date is inside, so every entry carries this one.
ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
ZIP_UNIX: Final = 3
ZIP_MODE: Final = 0o100644 << 16


@dataclass(frozen=True)
class Bag:
    """A built bag: its files by path below the bag's folder, which is named after the request."""

    request: PackageRequest
    entries: Mapping[str, bytes]

    @property
    def tagmanifest(self) -> bytes:
        """The file that covers everything else in the bag, and that is signed."""
        return self.entries[TAG_MANIFEST]

    @property
    def tagmanifest_sha256(self) -> str:
        """What the log records as the artefact (hex)."""
        return hashlib.sha256(self.tagmanifest).hexdigest()

    @property
    def outputs(self) -> dict[str, str]:
        """The released files by name, with their SHA-256 (hex)."""
        return {
            path.removeprefix(OUTPUTS): hashlib.sha256(content).hexdigest()
            for path, content in self.entries.items()
            if path.startswith(OUTPUTS)
        }


def build_bag(request: PackageRequest, files: Mapping[str, bytes]) -> Bag:
    """Build the bag of an approved release; raises when a name is hostile, or there is nothing or too much."""
    check_request(request)
    check_file_names(files)
    if not 1 <= len(files) <= MAX_FILES or sum(map(len, files.values())) > MAX_PACKAGE_BYTES:
        raise VaultUsage(
            "package_size", f"A package holds 1 to {MAX_FILES} files and {MAX_PACKAGE_BYTES} bytes."
        )
    payload = _payload(request, files)
    tags = {
        "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
        "bag-info.txt": _bag_info(request, payload),
        PAYLOAD_MANIFEST: hash_lines(payload),
    }
    entries = payload | tags | {TAG_MANIFEST: hash_lines(tags)}
    return Bag(request, MappingProxyType(dict(sorted(entries.items()))))


def seal(
    bag: Bag,
    *,
    sign: Sign,
    public_key: bytes,
    receipt: Receipt,
    tlog_proof: str,
    stamp: Callable[[bytes], bytes | None] = lambda _checkpoint: None,
) -> bytes:
    """Sign a bag whose tag manifest the log holds, and give the zip.

    `sign` makes Ed25519 signatures under `public_key`; `receipt` is that of the "release.package" event of this
    request ("request:<id>"), whose `release.artefact_sha256` is the tag manifest's; `tlog_proof` is the proof of
    that event and carries it. The checkpoint is the one in the proof; `stamp` gives an RFC 3161 response over it, or
    None where nobody stamps.
    """
    check_receipt(receipt, PACKAGE_ACTS, f"request:{bag.request.request}")
    proof = _checked_proof(bag, receipt, tlog_proof)
    key = Key(public_key)
    stamped = stamp(proof.note.encode())
    beside: dict[str, bytes] = {
        LOG_PROOF: tlog_proof.encode(),
        CHECKPOINT: proof.note.encode(),
        **({} if stamped is None else {STAMP: stamped}),
        PUBLIC_KEY: key.minisign_text().encode(),
        CERTIFICATE: certificate(bag.request, bag.outputs, bag.tagmanifest_sha256, proof.index, key).encode(),
        READ_ME: read_me(bag.request, key, stamped=stamped is not None).encode(),
    }
    comment = f"release {bag.request.request} packaged {bag.request.packaged}"
    signed = {
        MINISIG: minisign(bag.tagmanifest, comment, sign, key).encode(),
        DSSE: dsse(_statement(bag, beside, proof), sign, key),
    }
    folder = bag.request.request
    return _zip(beside | signed | {f"{folder}/{path}": content for path, content in bag.entries.items()})


def hash_lines(entries: Mapping[str, bytes]) -> bytes:
    """Give a BagIt manifest, which `sha512sum -c` reads as well."""
    lines = [f"{hashlib.sha512(content).hexdigest()}  {path}\n" for path, content in sorted(entries.items())]
    return "".join(lines).encode()


def artefact_of(event: Mapping[str, Any]) -> str | None:
    """Give the hash of the package a logged event is about."""
    release = event.get("release")
    return release.get("artefact_sha256") if isinstance(release, dict) else None


def _payload(request: PackageRequest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    payload = {f"{OUTPUTS}{name}": content for name, content in sorted(files.items())}
    payload[CHECKS] = _json(_checks_of(request, files))
    payload[DECISION] = _json(_decision(request))
    described = {path.removeprefix("data/"): content for path, content in payload.items()}
    return payload | {f"data/{METADATA_NAME}": crate_metadata(request, described)}


def _checks_of(request: PackageRequest, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Give the check report without the files that stay inside, such as unrounded counts."""
    leaving = {hashlib.sha256(content).hexdigest() for content in files.values()}
    kept = [found for found in request.checks["files"] if found["sha256"] in leaving]
    return {"policy": request.checks["policy"], "verdict": request.checks["verdict"], "files": kept}


def _decision(request: PackageRequest) -> dict[str, Any]:
    return {
        "request": request.request,
        "project": request.project,
        "author": request.author,
        "submitted": request.submitted,
        "approved": request.approved,
        "votes": [vars(vote) for vote in request.votes],
        "datasets": [vars(source) for source in request.datasets],
    }


def _bag_info(request: PackageRequest, payload: Mapping[str, bytes]) -> bytes:
    octets = sum(map(len, payload.values()))
    fields = {
        "Source-Organization": one_line(request.house),
        "External-Identifier": f"urn:uuid:{request.request}",
        "External-Description": one_line(request.title),
        "Bagging-Date": request.packaged[:10],
        "Payload-Oxum": f"{octets}.{len(payload)}",
    }
    return "".join(f"{name}: {value}\n" for name, value in fields.items()).encode()


def _checked_proof(bag: Bag, receipt: Receipt, text: str) -> LogProof:
    """Read the proof and check that it is of the receipt's event, and the event of this bag."""
    try:
        proof = read_log_proof(text)
        check_inclusion(proof)
        artefact = artefact_of(proof.event())
    except ProofWrong as wrong:
        raise VaultUsage("package_proof_wrong", f"The log's proof was refused: {wrong}.") from None
    if (proof.index, proof.leaf_sha256) != (
        receipt.index,
        receipt.leaf_sha256,
    ) or artefact != bag.tagmanifest_sha256:
        raise VaultRefused(
            "package_not_in_log",
            "The log's proof is not of the event that packages this bag.",
            "Record the hash of the bag's tag manifest, then seal the same bag.",
        )
    return proof


def _statement(bag: Bag, beside: Mapping[str, bytes], proof: LogProof) -> dict[str, Any]:
    """Give the in-toto statement; the files beside the bag are its subjects too, so that all is signed."""
    subjects = {f"{bag.request.request}/{TAG_MANIFEST}": bag.tagmanifest, **beside}
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
            for name, content in sorted(subjects.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            **_decision(bag.request),
            "files": bag.outputs,
            "policy": bag.request.checks["policy"],
            "log_index": proof.index,
        },
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _zip(entries: Mapping[str, bytes]) -> bytes:
    """Give a zip whose bytes depend on the entries alone."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path, content in sorted(entries.items()):
            info = zipfile.ZipInfo(path, ZIP_TIME)
            info.create_system = ZIP_UNIX
            info.external_attr = ZIP_MODE
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return held.getvalue()
