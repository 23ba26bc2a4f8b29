"""The passphrase comes from a file, a person at a terminal or systemd; from nowhere else, and to no other process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from audit.checkpoint import create_key
from enclave import passphrase as source
from enclave import wiring
from enclave.errors import ComponentDown, EnclaveError, Refused
from enclave.passphrase import (
    CREDENTIAL,
    CREDENTIALS_FOLDER,
    HandedOver,
    check_opens,
    hand_over,
    known_passphrase,
)
from enclave.settings import KeySettings, Settings, key_environment
from enclave.supervisor import components
from enclave.wiring import prepare_state
from tests.terminal import Terminal, at_a_terminal
from vault.errors import VaultRefused

WORDS = "several words nobody guesses"
CHOOSES = "from enclave.passphrase import chosen_passphrase; print('chose', len(chosen_passphrase()))"
ASKED_TWICE = """
from pathlib import Path
from enclave.passphrase import known_passphrase
from enclave.settings import KeySettings, Settings
settings = Settings(state=Path("/nowhere"), keys=KeySettings(passphrase_from="prompt"))
print("same", known_passphrase(settings) == known_passphrase(settings))
"""
READS = "import os, sys; print(open(sys.argv[1]).read()); print(os.listdir('/proc/self/fd'))"


def settings_of(state: Path, **keys: object) -> Settings:
    return Settings(state=state, run=Path("/run/x"), keys=KeySettings(**keys))


def refusal(settings: Settings) -> str:
    with pytest.raises(EnclaveError) as refused:
        known_passphrase(settings)
    assert WORDS not in refused.value.message + refused.value.to_do
    return refused.value.code


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "house"


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay one down as systemd does where a unit runs as its own user's: 0400."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv(CREDENTIALS_FOLDER, str(folder))
    path = folder / CREDENTIAL
    path.write_text(f"{WORDS}\n")
    path.chmod(0o400)
    return path


def test_a_file_is_read_without_the_end_of_its_line_and_only_where_it_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "passphrase"
    settings = settings_of(tmp_path, passphrase_file=path)
    assert refusal(settings) == "keyring_locked"
    path.write_text(f"{WORDS} \r\n")
    path.chmod(0o640)
    assert refusal(settings) == "passphrase_open_to_others"
    path.chmod(0o600)
    assert known_passphrase(settings) == f"{WORDS} ".encode()
    monkeypatch.setattr(source.os, "getuid", lambda: path.stat().st_uid + 1)
    monkeypatch.setattr(source, "ROOT", -1)
    assert refusal(settings) == "passphrase_of_another"


def test_a_credential_is_read_from_the_folder_of_the_unit(credential: Path, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, passphrase_from="credential")
    assert known_passphrase(settings) == WORDS.encode()
    credential.chmod(0o444)
    assert refusal(settings) == "credential_open_to_others"
    credential.unlink()
    assert refusal(settings) == "credential_missing"


def test_a_process_without_credentials_is_refused_and_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CREDENTIALS_FOLDER, raising=False)
    assert refusal(settings_of(tmp_path, passphrase_from="credential")) == "credential_missing"


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "good"),
    [
        (0o400, 0, 0, True),
        (0o440, 0, 0, True),  # the mask of the access list that lets the unit's user read
        (0o440, 0, 100, False),
        (0o600, 0, 0, False),
        (0o444, 0, 0, False),
        (0o400, None, 100, True),  # a file system without access lists: given to the user
        (0o440, None, 100, False),
        (0o400, 12345, 100, False),
    ],
)
def test_a_credential_stands_as_systemd_lays_it(mode: int, uid: int | None, gid: int, good: bool) -> None:
    own = os.getuid() or 1
    found = os.stat_result((0o100000 | mode, 0, 0, 1, own if uid is None else uid, gid, 0, 0, 0, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source.os, "getuid", lambda: own)
        assert source._as_systemd_lays_it(found) is good


def ends_at_a_terminal(code: str, *answers: tuple[str, str]) -> Terminal:
    with at_a_terminal([sys.executable, "-c", code], {**os.environ, "LC_ALL": "C.UTF-8"}) as terminal:
        for asked, typed in answers:
            terminal.answer(asked, typed)
        terminal.end()
        return terminal


def test_a_new_one_is_typed_twice_hidden_with_its_least_length_told_before() -> None:
    told = ends_at_a_terminal(CHOOSES, ("12 bytes at least", WORDS), ("again", WORDS))
    assert f"chose {len(WORDS)}" in told.shown
    assert WORDS not in told.shown


def test_a_new_one_that_is_short_is_not_asked_again_and_two_that_differ_are_refused() -> None:
    short = ends_at_a_terminal(CHOOSES, ("at least", "short"))
    assert "shorter than 12" in short.shown
    assert "again" not in short.shown
    assert "differ" in ends_at_a_terminal(CHOOSES, ("at least", WORDS), ("again", WORDS + "x")).shown


def test_a_process_asks_once_and_in_the_words_of_the_terminal() -> None:
    assert "same True" in ends_at_a_terminal(ASKED_TWICE, ("Passphrase of the house's keys:", WORDS)).shown


def test_what_is_no_text_is_refused_without_being_shown() -> None:
    with at_a_terminal([sys.executable, "-c", ASKED_TWICE], {**os.environ, "LC_ALL": "C.UTF-8"}) as terminal:
        terminal.answer("keys:", "\udcff")
        terminal.end()
    assert "not text" in terminal.shown
    assert "0xff" not in terminal.shown


def test_where_no_terminal_is_nobody_is_asked_and_nothing_is_read() -> None:
    alone = subprocess.run(
        [sys.executable, "-c", ASKED_TWICE],
        input=WORDS,
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "there is none here" in alone.stderr
    assert "same" not in alone.stdout


def test_a_terminal_that_would_show_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warns(_: str) -> str:
        source.warnings.warn("it will be echoed", source.GetPassWarning, stacklevel=1)
        return WORDS

    monkeypatch.setattr(source, "TERMINAL", os.devnull)
    monkeypatch.setattr(source, "getpass", warns)
    assert refusal(settings_of(tmp_path, passphrase_from="prompt")) == "passphrase_needs_terminal"


@pytest.fixture
def handed(tmp_path: Path) -> HandedOver:
    return hand_over(settings_of(tmp_path, passphrase_from="prompt"), WORDS.encode())


def test_children_are_told_a_file_or_given_memory_that_nobody_can_change(
    handed: HandedOver, tmp_path: Path
) -> None:
    by_file = settings_of(tmp_path)
    assert hand_over(by_file, WORDS.encode()) == HandedOver(by_file)
    (memory,) = handed.descriptors
    assert os.fstat(memory).st_mode & 0o777 == 0o600
    with pytest.raises(PermissionError):
        os.write(memory, b"x")
    with pytest.raises(PermissionError):
        os.ftruncate(memory, 0)
    assert known_passphrase(handed.settings) == WORDS.encode()
    told = key_environment(handed.settings)
    assert told["ENCLAVE_KEYS__PASSPHRASE_FROM"] == "file"
    assert WORDS not in json.dumps(told)


def test_a_child_reads_it_as_often_as_it_is_started_and_another_process_does_not_inherit_it(
    handed: HandedOver,
) -> None:
    (memory,) = handed.descriptors
    reads = [sys.executable, "-c", READS, str(handed.settings.passphrase_file)]
    for _ in range(2):
        child = subprocess.run(reads, pass_fds=handed.descriptors, capture_output=True, text=True, check=True)
        assert child.stdout.startswith(WORDS)
    assert subprocess.run(reads, capture_output=True, check=False).returncode != 0
    assert not os.get_inheritable(memory)


def test_only_what_opens_keys_inherits_it_and_never_the_hub(tmp_path: Path) -> None:
    def inheriting(**keys: object) -> set[str]:
        return {one.name for one in components(settings_of(tmp_path, **keys)) if one.opens_keys}

    assert inheriting() == {"recorder", "engine", "service"}
    assert inheriting(service="openbao", login_folder=tmp_path) == {"recorder"}


def test_the_processes_of_a_compaction_have_it_handed_over_and_nobody_is_asked_where_the_keys_are_elsewhere(
    credential: Path, tmp_path: Path
) -> None:
    handed = wiring._handed_over(settings_of(tmp_path, passphrase_from="credential"))
    assert len(handed.descriptors) == 1
    assert known_passphrase(handed.settings) == WORDS.encode()
    elsewhere = settings_of(tmp_path, passphrase_from="prompt", service="openbao", login_folder=tmp_path)
    assert wiring._handed_over(elsewhere) == HandedOver(elsewhere)


def test_the_houses_first_passphrase_is_what_its_source_gives(
    state: Path, credential: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare_state(settings_of(state, passphrase_from="credential")) == WORDS.encode()
    assert not (state / "keys" / "passphrase").exists()
    monkeypatch.setattr(source, "_typed", lambda *_, **__: b"words of a person")
    source._asked.cache_clear()
    assert prepare_state(settings_of(state / "other", passphrase_from="prompt")) == b"words of a person"
    with pytest.raises(VaultRefused) as wrong:
        prepare_state(settings_of(state, passphrase_from="prompt"))
    assert wrong.value.code == "keyring_passphrase_wrong"
    source._asked.cache_clear()


def test_a_passphrase_file_that_is_lost_is_never_made_anew(state: Path) -> None:
    settings = settings_of(state)
    prepare_state(settings)
    (state / "keys" / "keyring.json").unlink()
    create_key(state / "keys" / "trail.key", known_passphrase(settings))
    settings.passphrase_file.unlink()
    with pytest.raises(ComponentDown) as down:
        prepare_state(settings)
    assert down.value.code == "keyring_locked"
    assert not settings.passphrase_file.exists()
    assert not (state / "keys" / "keyring.json").exists()


def test_a_key_under_another_passphrase_is_named(state: Path) -> None:
    settings = settings_of(state)
    passphrase = prepare_state(settings)
    create_key(state / "keys" / "details.key", b"another one altogether")
    with pytest.raises(Refused) as refused:
        check_opens(settings, passphrase)
    assert (refused.value.code, refused.value.params) == ("passphrase_wrong", {"file": "details.key"})


def test_a_file_and_another_source_are_not_named_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="passphrase_file"):
        KeySettings(passphrase_from="prompt", passphrase_file=tmp_path)
