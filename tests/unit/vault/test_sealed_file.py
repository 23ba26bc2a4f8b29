import json
import multiprocessing
import os
import stat
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from tests.unit.vault.helpers import PASSPHRASE
from vault.errors import VaultDamaged, VaultDown, VaultRefused, VaultUsage
from vault.keyring import create_keyring
from vault.sealed_file import create_sealed_file, open_sealed_file


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "sealed.json"
    create_sealed_file(path, PASSPHRASE, b"content nobody reads")
    return path


def test_the_content_comes_back_with_the_passphrase(sealed: Path) -> None:
    assert open_sealed_file(sealed, PASSPHRASE).read() == b"content nobody reads"


def test_the_file_is_for_its_owner_alone_and_shows_nothing_of_its_content(sealed: Path) -> None:
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    assert b"content" not in sealed.read_bytes()


def test_a_wrong_passphrase_is_told_from_a_damaged_file_and_not_repeated(sealed: Path) -> None:
    with pytest.raises(VaultRefused) as caught:
        open_sealed_file(sealed, b"a guess of somebody")
    assert caught.value.code == "keyring_passphrase_wrong"
    assert "guess" not in str(caught.value)


def test_a_file_is_never_created_over_another(sealed: Path) -> None:
    before = sealed.read_bytes()
    with pytest.raises(VaultRefused) as caught:
        create_sealed_file(sealed, PASSPHRASE, b"other")
    assert caught.value.code == "keyring_exists"
    assert sealed.read_bytes() == before


def test_a_missing_file_is_a_component_that_is_down(sealed: Path) -> None:
    opened = open_sealed_file(sealed, PASSPHRASE)
    sealed.unlink()
    for act in (opened.read, lambda: open_sealed_file(sealed, PASSPHRASE)):
        with pytest.raises(VaultDown):
            act()


def test_a_file_that_vanishes_between_two_looks_is_a_component_that_is_down(
    sealed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vault.sealed_file._check_private", lambda _path: None)
    sealed.unlink()
    with pytest.raises(VaultDown):
        open_sealed_file(sealed, PASSPHRASE)


def test_a_file_others_can_read_is_not_opened(sealed: Path) -> None:
    sealed.chmod(0o640)
    with pytest.raises(VaultRefused) as caught:
        open_sealed_file(sealed, PASSPHRASE)
    assert caught.value.code == "keyring_readable_by_others"


@pytest.mark.parametrize(
    "change",
    [
        lambda _fields: "not JSON",
        lambda _fields: json.dumps([1]),
        lambda fields: json.dumps(fields | {"format": "enclave-sealed-file-v2"}),
        lambda fields: json.dumps(fields | {"more": "x"}),
        lambda fields: json.dumps(fields | {"sealed": "*"}),
        lambda fields: json.dumps(fields | {"sealed": 1}),
        lambda fields: json.dumps(fields | {"sealed": fields["sealed"][4:]}),
        lambda fields: json.dumps(fields | {"salt": ""}),
        lambda fields: json.dumps(fields | {"nonce": b64encode(bytes(16)).decode()}),
        lambda fields: json.dumps(fields | {"nonce": b64encode(bytes(12)).decode()}),
    ],
)
def test_a_tampered_file_is_damaged_not_a_wrong_passphrase(sealed: Path, change) -> None:
    sealed.write_text(change(json.loads(sealed.read_text())))
    with pytest.raises(VaultDamaged) as caught:
        open_sealed_file(sealed, PASSPHRASE)
    assert caught.value.code == "keyring_damaged"


def test_what_is_no_file_in_its_place_is_damaged_and_waited_for_by_nobody(sealed: Path) -> None:
    def endless(place: Path) -> None:
        with place.open("wb") as file:
            file.truncate(10**12)

    for put in (lambda place: os.mkfifo(place, 0o600), lambda place: place.symlink_to(place), endless):
        sealed.unlink()
        put(sealed)
        if not sealed.is_symlink():
            sealed.chmod(0o600)
        with pytest.raises(VaultDamaged) as caught:
            open_sealed_file(sealed, PASSPHRASE)
        assert caught.value.code == "keyring_damaged"


def test_what_another_process_wrote_is_read_at_the_next_look(sealed: Path) -> None:
    here, there = open_sealed_file(sealed, PASSPHRASE), open_sealed_file(sealed, PASSPHRASE)
    there.change(lambda content: content + b", more")
    assert here.read() == b"content nobody reads, more"


def test_a_change_that_changes_nothing_does_not_touch_the_file(sealed: Path) -> None:
    before = sealed.stat().st_ino
    open_sealed_file(sealed, PASSPHRASE).change(lambda content: content)
    assert sealed.stat().st_ino == before


def test_a_write_that_was_interrupted_leaves_the_old_content_and_is_written_over(sealed: Path) -> None:
    sealed.with_name("sealed.json.new").write_bytes(b"half")
    opened = open_sealed_file(sealed, PASSPHRASE)
    assert opened.read() == b"content nobody reads"
    opened.change(lambda _content: b"new")
    assert open_sealed_file(sealed, PASSPHRASE).read() == b"new"


def _add(path: Path, letter: str) -> None:
    opened = open_sealed_file(path, PASSPHRASE)
    for _ in range(10):
        opened.change(lambda content: content + letter.encode())


def test_no_process_overwrites_what_another_added(tmp_path: Path) -> None:
    path = tmp_path / "sealed.json"
    create_sealed_file(path, PASSPHRASE, b"")
    spawn = multiprocessing.get_context("fork")
    writers = [spawn.Process(target=_add, args=(path, letter)) for letter in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(open_sealed_file(path, PASSPHRASE).read()) == sorted(b"abc" * 10)


def test_a_short_passphrase_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(VaultUsage):
        create_keyring(tmp_path / "keyring.json", b"short")
    assert not list(tmp_path.iterdir())


def test_two_threads_that_open_it_at_the_same_moment_both_do(sealed: Path) -> None:
    """OpenSSL hangs for ever when two derivations of several lanes run at once in a process."""
    read: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: read.append(open_sealed_file(sealed, PASSPHRASE).read()), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read == [b"content nobody reads"] * 3
