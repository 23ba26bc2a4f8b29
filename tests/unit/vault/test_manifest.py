import os
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.vault.helpers import Keyrings, query, receipt, write
from vault.errors import VaultDamaged
from vault.manifest import (
    Manifest,
    Part,
    check_bytes,
    parse_manifest,
    read_manifest,
    rewrap_manifest,
    version_folder,
)
from vault.shelf import open_shelf


def read(root: Path, keys: Keyrings, expected: str, version: int = 1) -> Manifest:
    public = keys.engine.public_key("manifest")
    return read_manifest(root, "sejours", version, public_key=public, expected_sha256=expected)


def code_of(root: Path, keys: Keyrings, expected: str, version: int = 1) -> str:
    with pytest.raises(VaultDamaged) as caught:
        read(root, keys, expected, version)
    assert caught.value.to_do
    return caught.value.code


def test_a_written_manifest_is_read_back_as_it_was(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    assert read(tmp_path, shared, written.sha256) == written
    assert len(written.parts_of("research")) == 4
    assert sum(part.rows for part in written.parts) == 400
    assert written.parts_of("text") == ()


def test_openssl_verifies_the_signature(tmp_path: Path, shared: Keyrings) -> None:
    write(tmp_path, shared.intake)
    folder = version_folder(tmp_path, "sejours", 1)
    # SubjectPublicKeyInfo of Ed25519 (RFC 8410): a fixed head, then the 32 bytes
    der = bytes.fromhex("302a300506032b6570032100") + shared.engine.public_key("manifest")
    (tmp_path / "key.der").write_bytes(der)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey"]
    files = [tmp_path / "key.der", "-in", folder / "manifest.json", "-sigfile", folder / "manifest.json.sig"]
    done = subprocess.run([*command, *files], capture_output=True, check=False)
    assert b"Verified Successfully" in done.stdout


def test_a_changed_byte_of_the_manifest_is_not_the_recorded_one(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"rows":', b'"rows": '))
    assert code_of(tmp_path, shared, written.sha256) == "manifest_not_the_recorded_one"


def test_a_missing_manifest_is_not_the_recorded_one(tmp_path: Path, shared: Keyrings) -> None:
    assert code_of(tmp_path, shared, "0" * 64) == "manifest_not_the_recorded_one"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.json.sig"])
def test_what_is_no_file_in_a_manifests_place_is_named_and_waited_for_by_nobody(
    tmp_path: Path, shared: Keyrings, name: str
) -> None:
    written = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / name
    for put in (os.mkfifo, os.mkdir, lambda place: place.symlink_to(place)):
        path.unlink()
        put(path)
        with pytest.raises(VaultDamaged, match=f"sejours/v1/{name} cannot be read") as caught:
            read(tmp_path, shared, written.sha256)
        assert caught.value.code == "manifest_not_read"
        if path.is_dir():
            path.rmdir()
            path.touch()


def test_a_manifest_signed_by_another_key_is_refused(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / "manifest.json.sig"
    path.write_bytes(shared.publisher.sign("package", written.to_bytes()))
    assert code_of(tmp_path, shared, written.sha256) == "manifest_signature_wrong"
    path.unlink()
    assert code_of(tmp_path, shared, written.sha256) == "manifest_signature_wrong"


def test_a_manifest_of_another_version_is_refused_in_this_one_s_place(
    tmp_path: Path, shared: Keyrings
) -> None:
    written = write(tmp_path, shared.intake)
    version_folder(tmp_path, "sejours", 1).rename(version_folder(tmp_path, "sejours", 2))
    assert code_of(tmp_path, shared, written.sha256, version=2) == "manifest_of_another_version"


def test_a_missing_part_and_a_part_of_another_size_are_named(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / "research/part-00002.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VaultDamaged, match="part-00002") as caught:
        read(tmp_path, shared, written.sha256)
    assert caught.value.code == "shelf_part_wrong_size"
    path.unlink()
    with pytest.raises(VaultDamaged, match="part-00002") as caught:
        read(tmp_path, shared, written.sha256)
    assert caught.value.code == "shelf_part_missing"


def test_a_changed_byte_is_found_and_named_without_a_key(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    check_bytes(tmp_path, written)
    path = version_folder(tmp_path, "sejours", 1) / "research/part-00001.parquet"
    path.write_bytes(b"Q" + path.read_bytes()[1:])
    with pytest.raises(VaultDamaged, match="part-00001") as caught:
        check_bytes(tmp_path, written)
    assert caught.value.code == "shelf_part_changed"


def test_a_link_in_place_of_a_part_is_a_missing_part(tmp_path: Path, shared: Keyrings) -> None:
    written = write(tmp_path, shared.intake)
    path = version_folder(tmp_path, "sejours", 1) / "research/part-00000.parquet"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert code_of(tmp_path, shared, written.sha256) == "shelf_part_missing"


def test_bytes_that_are_not_canonical_are_refused_even_when_they_mean_the_same(
    tmp_path: Path, shared: Keyrings
) -> None:
    data = write(tmp_path, shared.intake).to_bytes()
    for changed in (
        data + b"\n",
        data.replace(b'"v":1', b'"v":1,"v":1'),
        data.replace(b'"schema"', b'"columns"'),
    ):
        with pytest.raises(VaultDamaged) as caught:
            parse_manifest(changed)
        assert caught.value.code == "manifest_not_canonical"
    for changed in (b"", b"[]", data.replace(b'"v":1', b'"v":2'), data.replace(b'"v":1', b'"v":1,"w":1')):
        with pytest.raises(VaultDamaged) as caught:
            parse_manifest(changed)
        assert caught.value.code == "manifest_unreadable"


def test_a_part_cannot_lead_out_of_its_folder(tmp_path: Path, shared: Keyrings) -> None:
    part = write(tmp_path, shared.intake).parts[0].model_dump()
    for path in ("../part-00000.parquet", "research/../part-00000.parquet", "/research/part-00000.parquet"):
        with pytest.raises(ValidationError):
            Part.model_validate(part | {"path": path})


def test_rotation_renews_the_wrapped_keys_and_touches_no_data_file(tmp_path: Path, own: Keyrings) -> None:
    written = write(tmp_path, own.intake)
    folder = version_folder(tmp_path, "sejours", 1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rotate = receipt("key.rotate", "dataset:sejours", "key:research")
    own.operator.rotate("research", rotate)
    renewed = rewrap_manifest(tmp_path, written, own.operator, rotate)
    assert renewed.sha256 != written.sha256
    assert renewed.parts == written.parts
    assert all(path.read_bytes() == content for path, content in before.items())
    for manifest in (written, renewed):
        found = read(tmp_path, own, manifest.sha256)
        assert open_shelf(tmp_path, found, "research", own.engine, query()).read().height == 400
