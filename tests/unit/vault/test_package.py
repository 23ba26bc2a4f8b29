import hashlib
import io
import json
import re
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from tests.unit.vault.helpers import REQUEST, Keyrings, Receipt, SmallLog, leaf, package_request
from vault.errors import VaultRefused, VaultUsage
from vault.package import MAX_FILES, Bag, build_bag, seal
from vault.package_check import as_json, verify_package
from vault.signatures import Key, check_dsse, pre_authentication

FILES = {"table.csv": b"age,n\n40-49,120\n", "figures/Âge.png": b"\x89PNG", "-v.csv": b"a\n"}
# SubjectPublicKeyInfo of Ed25519 (RFC 8410): a fixed head, then the 32 bytes
ED25519_DER = bytes.fromhex("302a300506032b6570032100")


def event_of(artefact_sha256: str | None) -> bytes:
    release = {"request": REQUEST, "artefact_sha256": artefact_sha256}
    return json.dumps({"type": "release.package", "release": release}).encode()


def log_of(bag: Bag, at: int = 3) -> SmallLog:
    entries = [b"{}"] * 6
    entries[at] = event_of(bag.tagmanifest_sha256)
    return SmallLog(entries)


def receipt_of(log: SmallLog, at: int = 3) -> Receipt:
    return Receipt("release.package", frozenset({f"request:{REQUEST}"}), at, "id", leaf(log.entries[at]))


def package(keys: Keyrings, files: Mapping[str, bytes] = FILES, **changes: object) -> bytes:
    bag = build_bag(package_request(**changes), files)
    log = log_of(bag)
    return seal(
        bag,
        sign=lambda data: keys.publisher.sign("package", data),
        public_key=keys.publisher.public_key("package"),
        receipt=receipt_of(log),
        tlog_proof=log.prove(3),
    )


@pytest.fixture(scope="module")
def sealed(shared: Keyrings) -> bytes:
    return package(shared)


@pytest.fixture
def unpacked(sealed: bytes, tmp_path: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(sealed)) as archive:
        archive.extractall(tmp_path)
    return tmp_path


def commands(folder: Path) -> list[str]:
    """Give the commands the reader is told to run."""
    return re.findall(r"^  [123]\. (.+)$", (folder / "LISEZ-MOI.txt").read_text(), re.MULTILINE)


def runs(folder: Path) -> list[bool]:
    return [
        subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False).returncode == 0
        for command in commands(folder)
    ]


def test_the_commands_of_the_read_me_verify_the_package_with_tools_we_did_not_write(unpacked: Path) -> None:
    assert [command.split()[0] for command in commands(unpacked)] == ["minisign", "(cd", "(cd"]
    assert runs(unpacked) == [True, True, True]


@pytest.mark.parametrize(
    ("path", "failing"),
    [
        ("data/outputs/table.csv", [True, True, False]),
        ("data/ro-crate-metadata.json", [True, True, False]),
        ("manifest-sha512.txt", [True, False, False]),
        ("bag-info.txt", [True, False, True]),
        ("tagmanifest-sha512.txt", [False, False, True]),
    ],
)
def test_a_flipped_byte_fails_the_command_that_covers_it(
    unpacked: Path, path: str, failing: list[bool]
) -> None:
    changed = unpacked / REQUEST / path
    content = bytearray(changed.read_bytes())
    content[0] ^= 1
    changed.write_bytes(content)
    assert runs(unpacked) == failing


def test_minisign_says_which_release_the_signature_is_of(unpacked: Path) -> None:
    done = subprocess.run(["sh", "-c", commands(unpacked)[0]], cwd=unpacked, capture_output=True, check=True)
    assert f"Trusted comment: release {REQUEST} packaged 2026-11-25T10:05:00Z" in done.stdout.decode()


def test_openssl_verifies_the_statement(unpacked: Path, shared: Keyrings) -> None:
    from base64 import b64decode

    envelope = json.loads((unpacked / "tagmanifest.dsse.json").read_bytes())
    (unpacked / "key.der").write_bytes(ED25519_DER + shared.publisher.public_key("package"))
    (unpacked / "pae").write_bytes(pre_authentication(b64decode(envelope["payload"])))
    (unpacked / "sig").write_bytes(b64decode(envelope["signatures"][0]["sig"]))
    command = "openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in pae -sigfile sig"
    done = subprocess.run(command.split(), cwd=unpacked, capture_output=True, check=True)
    assert b"Verified Successfully" in done.stdout


def test_the_statement_signs_everything_that_lies_beside_the_bag(unpacked: Path, shared: Keyrings) -> None:
    key = Key(shared.publisher.public_key("package"))
    statement = check_dsse((unpacked / "tagmanifest.dsse.json").read_bytes(), key)
    beside = {path.name for path in unpacked.iterdir() if path.is_file()}
    names = {subject["name"] for subject in statement["subject"]}
    signatures = {"tagmanifest-sha512.txt.minisig", "tagmanifest.dsse.json"}
    assert names == (beside - signatures) | {f"{REQUEST}/tagmanifest-sha512.txt"}
    assert statement["predicate"]["log_index"] == 3


def test_an_ro_crate_library_reads_the_crate_without_a_network(unpacked: Path) -> None:
    crate = ROCrate(unpacked / REQUEST / "data")
    assert crate.root_dataset["identifier"] == f"urn:uuid:{REQUEST}"
    outputs = {entity.id for entity in crate.get_by_type("File")}
    assert {"outputs/table.csv", "outputs/figures/%C3%82ge.png", "review/checks.json"} <= outputs
    checks = crate.get_by_type("AssessAction")
    assert [check["additionalType"].id.rpartition("#")[2] for check in checks] == [
        "DisclosureCheck",
        "SignOff",
        "SignOff",
    ]
    assert {entity["name"] for entity in crate.get_by_type("Person")} == {
        "researcher-a",
        "steward-a",
        "steward-b",
    }
    assert crate.root_dataset["publisher"]["name"] == "Enclave de démonstration"


def test_every_reference_of_the_crate_leads_to_an_entity(unpacked: Path) -> None:
    graph = json.loads((unpacked / REQUEST / "data" / "ro-crate-metadata.json").read_text())["@graph"]
    known = {entity["@id"] for entity in graph}
    assert len(known) == len(graph)
    assert set(_references(graph)) - known == {"https://w3id.org/ro/crate/1.2"}


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            return [value["@id"]]
        return [found for inner in value.values() for found in _references(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in _references(inner)]
    return []


def test_the_certificate_says_who_approved_and_runs_no_script(unpacked: Path) -> None:
    page = (unpacked / "certificate.html").read_text()
    for told in (
        "steward-a",
        "steward-b",
        "Séjours par âge",
        "minisign -V",
        hashlib.sha256(b"a\n").hexdigest(),
    ):
        assert told in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "@media print" in page


def test_what_a_researcher_wrote_is_text_and_never_markup_or_a_header(shared: Keyrings) -> None:
    hostile = "<script>alert(1)</script>\nPayload-Oxum: 0.0\u202e"
    sealed = package(shared, title=hostile, purpose=hostile, house=hostile, datasets=())
    with zipfile.ZipFile(io.BytesIO(sealed)) as archive:
        page = archive.read("certificate.html").decode()
        info = archive.read(f"{REQUEST}/bag-info.txt").decode()
    assert "<script" not in page
    assert "\u202e" not in page + info
    assert sum(line.startswith("Payload-Oxum: ") for line in info.splitlines()) == 1
    assert "aucune" in page


def test_a_long_list_of_files_leaves_the_certificate_on_its_page(shared: Keyrings) -> None:
    files = {f"table-{number:02}.csv": b"a" for number in range(15)}
    with zipfile.ZipFile(io.BytesIO(package(shared, files))) as archive:
        page = archive.read("certificate.html").decode()
    assert "table-11.csv" in page
    assert "table-12.csv" not in page
    assert "et 3 autres" in page


def test_files_that_stay_inside_are_not_named_in_the_check_report(shared: Keyrings) -> None:
    kept = {"file": "table.csv", "sha256": hashlib.sha256(FILES["table.csv"]).hexdigest(), "verdict": "pass"}
    inside = {"file": "unrounded-counts.csv", "sha256": "c" * 64, "verdict": "review"}
    checks = dict(package_request().checks) | {"files": [kept, inside]}
    bag = build_bag(package_request(checks=checks), FILES)
    assert json.loads(bag.entries["data/review/checks.json"])["files"] == [kept]
    assert not any(b"unrounded" in content for content in bag.entries.values())


def test_the_same_release_gives_the_same_bytes(shared: Keyrings, sealed: bytes) -> None:
    assert package(shared, dict(reversed(FILES.items()))) == sealed


def test_the_log_must_hold_this_bag_before_it_is_sealed(shared: Keyrings) -> None:
    bag = build_bag(package_request(), FILES)
    log = log_of(bag)

    def attempt(receipt: Receipt, proof: str) -> None:
        public = shared.publisher.public_key("package")
        seal(bag, sign=lambda _data: b"", public_key=public, receipt=receipt, tlog_proof=proof)

    other = log_of(build_bag(package_request(title="Autre"), FILES))
    for receipt, proof in (
        (receipt_of(log), log.prove(2)),
        (receipt_of(log, 2), log.prove(3)),
        (receipt_of(other), other.prove(3)),
    ):
        with pytest.raises(VaultRefused) as caught:
            attempt(receipt, proof)
        assert caught.value.code == "package_not_in_log"
    for proof in ("", log.prove(3).replace("index 3", "index 2"), SmallLog([b"[]"]).prove(0)):
        with pytest.raises(VaultUsage) as wrong:
            attempt(receipt_of(log), proof)
        assert wrong.value.code == "package_proof_wrong"
    with pytest.raises(VaultRefused) as mismatch:
        attempt(Receipt("release.approve", frozenset({f"request:{REQUEST}"})), log.prove(3))
    assert mismatch.value.code == "receipt_mismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"request": "../x"},
        {"author": "Somebody Else"},
        {"project": "a\nb"},
        {"packaged": "yesterday"},
        {"approved": "2026-11-25T10:00:00+02:00"},
        {"votes": ()},
    ],
)
def test_a_malformed_request_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(VaultUsage):
        build_bag(package_request(**changes), FILES)


def test_a_package_holds_something_and_not_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VaultUsage):
        build_bag(package_request(), {})
    with pytest.raises(VaultUsage):
        build_bag(package_request(), {f"f{number}.csv": b"" for number in range(MAX_FILES + 1)})
    monkeypatch.setattr("vault.package.MAX_PACKAGE_BYTES", 3)
    with pytest.raises(VaultUsage):
        build_bag(package_request(), {"a.csv": b"four"})


def test_a_hostile_name_stops_the_package() -> None:
    with pytest.raises(VaultUsage):
        build_bag(package_request(), {"../a.csv": b""})


def test_our_own_check_passes_in_numbered_steps(sealed: bytes, shared: Keyrings) -> None:
    public = shared.publisher.public_key("package")
    report = verify_package(sealed, public, SmallLog([b""]).vkey)
    assert report.ok
    assert [(step.number, step.verdict) for step in report.steps] == [
        (number, "ok") for number in range(1, 8)
    ]
    without = verify_package(sealed, public)
    assert without.ok
    assert without.steps[-1].verdict == "not_checked"
    assert as_json(without)["steps"][0]["name"] == "archive"
