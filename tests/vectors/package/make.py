"""Makes the packages of this folder anew: `python tests/vectors/package/make.py` from the top of the checkout.

`good.zip` is a sealed release; every other one is named after what is wrong, and `cases.json` says which step of the
check must fail first.
"""

import io
import json
import warnings
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.vault.helpers import REQUEST, Receipt, SmallLog, leaf, package_request
from vault.package import build_bag, hash_lines, seal

HERE = Path(__file__).parent
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
FILES = {"table.csv": b"age,n\n40-49,120\n", "note.md": b"ok\n"}
OUTPUT = f"{REQUEST}/data/outputs/table.csv"
MANIFEST = f"{REQUEST}/manifest-sha512.txt"
TAG_MANIFEST = f"{REQUEST}/tagmanifest-sha512.txt"
Entries = dict[str, bytes]


def sealed(key: Ed25519PrivateKey, request: str = REQUEST) -> Entries:
    bag = build_bag(package_request(request=request), FILES)
    event = {"type": "release.package", "release": {"artefact_sha256": bag.tagmanifest_sha256}}
    log = SmallLog([b"{}", json.dumps(event).encode(), b"{}"])
    receipt = Receipt("release.package", frozenset({f"request:{request}"}), 1, "id", leaf(log.entries[1]))
    package = seal(
        bag,
        sign=key.sign,
        public_key=key.public_key().public_bytes_raw(),
        receipt=receipt,
        tlog_proof=log.prove(1),
    )
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(entries: Entries, manifest: str, *, payload: bool) -> Entries:
    """Give the entries with a manifest that fits what they hold now."""
    inside = {path.removeprefix(f"{REQUEST}/"): content for path, content in entries.items() if "/" in path}
    listed = {
        path: content
        for path, content in inside.items()
        if path.startswith("data/") is payload and not path.startswith("tagmanifest")
    }
    return entries | {manifest: hash_lines(listed)}


def without(entries: Entries, *names: str) -> Entries:
    return {name: content for name, content in entries.items() if name not in names}


def zipped(entries: Entries, twice: str | None = None) -> bytes:
    held = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for name in [*entries, *([twice] if twice else [])]:
            archive.writestr(zipfile.ZipInfo(name), entries[name])
    return held.getvalue()


def encrypted(package: bytes) -> bytes:
    """Set the flag that says a member is encrypted, in the central directory."""
    place = package.index(b"PK\x01\x02") + 8
    return package[:place] + bytes([package[place] | 1]) + package[place + 1 :]


def main() -> None:
    good = sealed(KEY)
    changed = good | {OUTPUT: good[OUTPUT].replace(b"120", b"121")}
    relisted = rewritten(changed, MANIFEST, payload=True)
    other = sealed(OTHER_KEY)
    later = sealed(KEY, REQUEST[:-1] + "c")
    minisig, dsse = "tagmanifest-sha512.txt.minisig", "tagmanifest.dsse.json"
    traversal = f"{REQUEST}/data/outputs/../../../../etc/cron.d/x"
    cases: dict[str, tuple[bytes, str]] = {
        "output_changed": (zipped(changed), "payload"),
        "output_added": (zipped(good | {f"{REQUEST}/data/outputs/more.csv": b"x"}), "payload"),
        "output_removed": (zipped(without(good, OUTPUT)), "payload"),
        "output_changed_and_listed_anew": (zipped(relisted), "tag manifest"),
        "all_manifests_written_anew": (
            zipped(rewritten(relisted, TAG_MANIFEST, payload=False)),
            "signature",
        ),
        "sealed_again_with_another_key": (zipped(other), "signature"),
        "signature_of_another_key": (zipped(good | {minisig: other[minisig]}), "signature"),
        "signature_of_another_release": (zipped(good | {minisig: later[minisig]}), "signature"),
        "statement_of_another_release": (zipped(good | {dsse: later[dsse]}), "statement"),
        "statement_of_another_key": (zipped(good | {dsse: other[dsse]}), "statement"),
        "certificate_changed": (zipped(good | {"certificate.html": b"<p>steward-c"}), "statement"),
        "read_me_changed": (zipped(good | {"LISEZ-MOI.txt": b"run this"}), "statement"),
        "proof_of_another_release": (
            zipped(good | {name: later[name] for name in ("release.tlog-proof", "checkpoint")}),
            "statement",
        ),
        "tag_manifest_missing": (zipped(without(good, TAG_MANIFEST)), "signature"),
        "signature_missing": (zipped(without(good, minisig)), "archive"),
        "file_beside_the_bag_added": (zipped(good | {"run.sh": b"x"}), "archive"),
        "second_bag": (zipped(good | {"other/bagit.txt": b"x"}), "archive"),
        "tag_file_added": (
            zipped(good | {f"{REQUEST}/fetch.txt": b"http://example.com x data/x"}),
            "archive",
        ),
        "path_leads_out": (zipped(good | {traversal: b"x"}), "archive"),
        "name_twice": (zipped(good, twice=OUTPUT), "archive"),
        "member_encrypted": (encrypted(zipped(good)), "archive"),
        "not_a_zip": (b"PK nothing", "archive"),
        "cut_short": (zipped(good)[:-200], "archive"),
    }
    (HERE / "good.zip").write_bytes(zipped(good))
    for name, (package, _step) in cases.items():
        (HERE / f"{name}.zip").write_bytes(package)
    told = {
        "public_key": KEY.public_key().public_bytes_raw().hex(),
        "log_vkey": SmallLog([b""]).vkey,
        "fails_at": {name: step for name, (_package, step) in cases.items()},
    }
    (HERE / "cases.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
