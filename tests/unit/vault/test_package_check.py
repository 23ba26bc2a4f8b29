import hashlib
import io
import json
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.vault.helpers import REQUEST, Receipt, SmallLog, leaf, package_request
from vault import package, package_check
from vault.package import BESIDE, build_bag, seal
from vault.package_check import Step, checked_artefact, verify_package
from vault.signatures import STATEMENT_TYPE, Key, dsse, minisign

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
VECTORS = Path(__file__).parents[2] / "vectors" / "package"
GOOD = (VECTORS / "good.zip").read_bytes()


def entries(data: bytes = GOOD) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def failed(data: bytes, vkey: str | None = None) -> Step:
    return next(step for step in verify_package(data, PUBLIC, vkey).steps if step.verdict == "failed")


def test_another_key_than_the_one_given_is_no_signature() -> None:
    other = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).public_key().public_bytes_raw()
    report = verify_package(GOOD, other)
    assert [step.name for step in report.steps if step.verdict == "failed"] == ["signature", "statement"]


def test_an_archive_too_large_or_too_full_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_check, "MAX_BYTES", 10)
    assert "larger" in failed(GOOD).found
    monkeypatch.undo()
    monkeypatch.setattr(package_check, "MAX_ENTRIES", 3)
    assert "larger" in failed(GOOD).found


def test_a_member_never_unpacks_to_more_than_it_declares() -> None:
    bomb = zipped({"a": b"0" * 1000})
    place = bomb.index(b"PK\x01\x02") + 24
    lying = bomb[:place] + (1).to_bytes(4, "little") + bomb[place + 4 :]
    assert failed(lying).name == "archive"


def test_a_hostile_output_name_fails_the_archive() -> None:
    step = failed(zipped(entries() | {f"{REQUEST}/data/outputs/a\x1b": b""}))
    assert step.name == "archive"
    assert "\x1b" not in step.found


def test_a_text_that_is_not_text_fails_its_step() -> None:
    assert failed(zipped(entries() | {"tagmanifest-sha512.txt.minisig": b"\xff"})).name == "signature"


def test_a_beside_file_that_is_not_the_signed_one_is_named() -> None:
    assert (
        failed(zipped(entries() | {"LISEZ-MOI.txt": b"other"})).found
        == "LISEZ-MOI.txt is not the one that was signed"
    )


def test_a_signature_that_names_another_release_is_refused_even_over_this_bag() -> None:
    files = entries()
    tag = files[f"{REQUEST}/tagmanifest-sha512.txt"]
    files["tagmanifest-sha512.txt.minisig"] = minisign(tag, "release other", KEY.sign, Key(PUBLIC)).encode()
    assert failed(zipped(files)).found == "the signature is of another release"


def test_a_missing_manifest_fails_its_step() -> None:
    files = entries()
    del files[f"{REQUEST}/manifest-sha512.txt"]
    steps = verify_package(zipped(files), PUBLIC).steps
    assert [step.name for step in steps if step.verdict == "failed"] == ["tag manifest", "payload"]


@pytest.mark.parametrize(
    "statement",
    [{}, {"subject": 1}, {"subject": [{"name": "x"}]}, {"subject": []}],
)
def test_a_signed_statement_about_other_things_fails(statement: dict[str, object]) -> None:
    signed = dsse({"_type": STATEMENT_TYPE} | statement, KEY.sign, Key(PUBLIC))
    assert failed(zipped(entries() | {"tagmanifest.dsse.json": signed})).name == "statement"


def sealed_with(monkeypatch: pytest.MonkeyPatch, event: bytes, change: dict[str, str]) -> bytes:
    """Seal as a house would that does not check what its log says."""
    log = SmallLog([b"{}", event, b"{}"])
    monkeypatch.setattr(package, "_checked_proof", lambda _bag, _receipt, text: package.read_log_proof(text))
    text = log.prove(1)
    for old, new in change.items():
        text = text.replace(old, new)
    receipt = Receipt("release.package", frozenset({f"request:{REQUEST}"}), 1, "id", leaf(event))
    bag = build_bag(package_request(), {"a.csv": b"a"})
    return seal(bag, sign=KEY.sign, public_key=PUBLIC, receipt=receipt, tlog_proof=text)


def test_a_logged_event_about_another_package_fails_at_the_log_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    for event in (b"{}", b'{"release":1}', b'{"release":{"artefact_sha256":"0"}}'):
        assert failed(sealed_with(monkeypatch, event, {})).name == "log entry"


def test_a_path_that_leads_nowhere_fails_at_the_log_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(sealed_with(monkeypatch, b"{}", {"index 1": "index 0"})).name == "log entry"


def test_a_checkpoint_other_than_the_proof_s_fails_at_the_log_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    bag = build_bag(package_request(), {"a.csv": b"a"})
    event = json.dumps({"release": {"artefact_sha256": bag.tagmanifest_sha256}}).encode()
    files = entries(sealed_with(monkeypatch, event, {}))
    assert verify_package(zipped(files), PUBLIC).ok
    files["checkpoint"] += b"more\n"
    names = [name for name in (*BESIDE, f"{REQUEST}/tagmanifest-sha512.txt") if name in files]
    names = [name for name in names if not name.startswith("tagmanifest")]
    subjects = [
        {"name": name, "digest": {"sha256": hashlib.sha256(files[name]).hexdigest()}} for name in names
    ]
    files["tagmanifest.dsse.json"] = dsse({"subject": subjects}, KEY.sign, Key(PUBLIC))
    assert failed(zipped(files)).found == "checkpoint is not the one of the proof"


def test_a_checkpoint_another_log_signed_fails_at_the_log_signature() -> None:
    other = b64encode(b"\x01" + PUBLIC).decode()
    assert failed(GOOD, f"enclave.example/trail+00000000+{other}").name == "log signature"
    assert failed(GOOD, "nonsense").name == "log signature"


def test_a_stamp_lies_beside_the_checkpoint_it_covers_and_is_signed_with_the_rest() -> None:
    bag = build_bag(package_request(), {"table.csv": b"a,b\n"})
    event = json.dumps({"release": {"artefact_sha256": bag.tagmanifest_sha256}}).encode()
    receipt = Receipt("release.package", frozenset({f"request:{REQUEST}"}), 0, "id", leaf(event))
    proof = SmallLog([event]).prove(0)
    asked: list[bytes] = []

    def stamp(checkpoint: bytes) -> bytes:
        asked.append(checkpoint)
        return b"a token"

    sealed = seal(bag, sign=KEY.sign, public_key=PUBLIC, receipt=receipt, tlog_proof=proof, stamp=stamp)
    files = entries(sealed)
    assert files["checkpoint.tsr"] == b"a token"
    assert asked == [files["checkpoint"]]
    assert b"openssl ts -verify -in checkpoint.tsr" in files["LISEZ-MOI.txt"]
    assert verify_package(sealed, PUBLIC).ok
    assert checked_artefact(sealed, PUBLIC) == bag.tagmanifest_sha256
    changed = zipped(files | {"checkpoint.tsr": b"another"})
    assert failed(changed).name == "statement"
    assert checked_artefact(changed, PUBLIC) is None
