"""The command line: what each command prints, and the exit code it ends with."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from typer.testing import CliRunner

from audit import recorder
from audit.__main__ import app
from audit.log import Log
from audit.verify import verify


@pytest.fixture
def run():
    def invoke(*words):
        return CliRunner().invoke(app, [str(each) for each in words])

    return invoke


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("long random words\n")
    return path


def error_of(result):
    return json.loads(result.stderr)["error"]


@pytest.mark.parametrize("command", ["serve", "verify", "export", "proof", "keygen", "witness", "confirm"])
def test_help_shows_an_example(run, command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"python -m audit {command}" in " ".join(result.output.split())


def test_verify_prints_numbered_steps_and_two_verdicts(run, whole):
    result = run("verify", whole)
    assert result.exit_code == 0
    assert " 1. key" in result.output
    assert "Integrity: whole" in result.output
    assert "Completeness: complete, 0 interrupted" in result.output


def test_verify_takes_a_key_a_file_with_it_and_a_kept_checkpoint(run, whole, signer):
    assert run("verify", whole, "--vkey", signer.verifier.vkey()).exit_code == 0
    result = run("verify", whole, "--vkey", whole / "vkey", "--since", whole / "checkpoint")
    assert result.exit_code == 0
    assert "continues the 300 entries" in result.output


def test_verify_as_json_is_one_object_and_nothing_else(run, whole):
    told = json.loads(run("verify", whole, "--json").stdout)
    assert (told["integrity"], told["completeness"], told["size"]) == (True, True, 300)


def test_a_tampered_trail_ends_with_5_and_names_the_index(run, trail):
    bundle = trail / "tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b"dataset-a", b"dataset-b", 1))
    result = run("verify", trail)
    assert result.exit_code == 5
    assert "Integrity: TAMPERED; first broken index 0" in result.output


def test_anomalies_end_with_1_and_are_listed(run, log, make):
    log.record(make(phase="intent"))
    log.close()
    result = run("verify", log.directory)
    assert result.exit_code == 1
    assert "at 0: data.query was announced, its outcome is missing" in result.output


def test_usage_errors_end_with_2_and_are_json_on_stderr(run, tmp_path, whole):
    result = run("verify", tmp_path / "nothing")
    assert (result.exit_code, error_of(result)["code"]) == (2, "no_trail")
    assert result.stdout == ""
    result = run("verify", whole, "--since", tmp_path / "nothing")
    assert (result.exit_code, error_of(result)["code"]) == (2, "not_readable")


def test_export_copies_and_verifies_the_copy(run, whole, tmp_path):
    result = run("export", whole, tmp_path / "out")
    assert result.exit_code == 0
    assert "Integrity: whole" in result.output
    assert verify(tmp_path / "out").exit_code == 0


def test_export_of_a_damaged_trail_ends_with_5(run, trail, tmp_path):
    (trail / "tile/0/000").unlink()
    result = run("export", trail, tmp_path / "out")
    assert (result.exit_code, error_of(result)["code"]) == (5, "tile_damaged")


def test_proof_prints_the_event_it_proves(run, whole, signer, tmp_path):
    log = Log(shutil.copytree(whole, tmp_path / "copy"), signer)
    (tmp_path / "x.tlog-proof").write_text(log.prove(7))
    log.close()
    result = run("proof", tmp_path / "x.tlog-proof", "--vkey", whole / "vkey", "--json")
    assert result.exit_code == 0
    assert json.loads(json.loads(result.stdout)["event"])["seq"] == 7
    (tmp_path / "x.tlog-proof").write_text("nothing")
    result = run("proof", tmp_path / "x.tlog-proof", "--vkey", whole / "vkey")
    assert (result.exit_code, error_of(result)["code"]) == (5, "bad_proof")


def test_keygen_makes_a_key_once_and_prints_its_public_side(run, tmp_path, passphrase):
    words = (
        "keygen",
        "--key-file",
        tmp_path / "key.pem",
        "--passphrase-file",
        passphrase,
        "--origin",
        "a.example",
    )
    result = run(*words)
    assert result.exit_code == 0
    assert result.stdout.startswith("a.example+")
    again = run(*words)
    assert (again.exit_code, error_of(again)["code"]) == (2, "key_exists")


def test_a_passphrase_that_cannot_be_read_is_a_usage_error(run, tmp_path):
    result = run(
        "keygen",
        "--key-file",
        tmp_path / "k",
        "--passphrase-file",
        tmp_path / "nothing",
        "--origin",
        "a.example",
    )
    assert (result.exit_code, error_of(result)["code"]) == (2, "no_passphrase")


@pytest.fixture
def serve_words(tmp_path, passphrase):
    return (
        "serve",
        *("--dir", tmp_path / "trail", "--socket", tmp_path / "r.sock", "--origin", "a.example"),
        *("--key-file", tmp_path / "key.pem", "--passphrase-file", passphrase),
    )


def stop_when_listening(path):
    def watch():
        while socket.socket(socket.AF_UNIX).connect_ex(str(path)):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def test_serve_makes_its_key_runs_until_it_is_told_to_stop_and_records_both(run, serve_words, tmp_path):
    for start in (0, 2):
        stop_when_listening(tmp_path / "r.sock")
        result = run(*serve_words)
        assert result.exit_code == 0, result.output
        assert verify(tmp_path / "trail").size == start + 2
    entries = (tmp_path / "trail/tile/entries/000.p/4").read_bytes()
    assert entries.count(b'"type":"audit.start"') == entries.count(b'"type":"audit.stop"') == 2
    assert not (tmp_path / "r.sock").exists()


def test_serve_refuses_a_folder_that_another_recorder_owns(run, serve_words, tmp_path):
    stop_when_listening(tmp_path / "r.sock")
    assert run(*serve_words).exit_code == 0
    handle = os.open(tmp_path / "trail/lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    result = run(*serve_words)
    os.close(handle)
    assert (result.exit_code, error_of(result)["code"]) == (4, "second_recorder")


def test_serve_refuses_a_socket_where_something_answers(run, serve_words, tmp_path):
    with recorder.bind(tmp_path / "r.sock") as living:
        living.listen()
        result = run(*serve_words)
    assert (result.exit_code, error_of(result)["code"]) == (4, "socket_in_use")


def test_serve_refuses_a_socket_path_that_cannot_be_used(run, serve_words, tmp_path):
    words = [tmp_path / ("x" * 120) if each == tmp_path / "r.sock" else each for each in serve_words]
    result = run(*words)
    assert (result.exit_code, error_of(result)["code"]) == (4, "socket_not_opened")


def test_a_dead_socket_is_replaced_by_one_that_is_private(tmp_path):
    recorder.bind(tmp_path / "r.sock").close()
    with recorder.bind(tmp_path / "r.sock"):
        assert (tmp_path / "r.sock").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def witness_words(tmp_path, passphrase, signer):
    return (
        *("witness", "--dir", tmp_path / "seen", "--name", "witness.example/one", "--port", free_port()),
        *("--key-file", tmp_path / "witness.pem", "--passphrase-file", passphrase),
        *("--log-key", signer.verifier.vkey()),
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_witness_in_a_process_of_its_own_confirms(run, witness_words, trail, signer):
    words = [sys.executable, "-m", "audit", *map(str, witness_words)]
    address = f"http://127.0.0.1:{witness_words[witness_words.index('--port') + 1]}"
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        key = process.stdout.readline().strip()
        wait_for(address)
        told = run("confirm", trail, "--witness", f"{key} {address}", "--json")
        process.terminate()
    assert (told.exit_code, json.loads(told.stdout)["witnesses"]) == (0, ["witness.example/one"])
    seen = next((trail.parent / "seen").glob("*.checkpoint"))
    result = run("verify", trail, "--vkey", signer.verifier.vkey(), "--witness-key", key, "--since", seen)
    assert result.exit_code == 0
    assert "300 of 300 entries confirmed by witness.example/one" in result.output


def wait_for(address):
    host, port = address.removeprefix("http://").split(":")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if not probe.connect_ex((host, int(port))):
                return
        time.sleep(0.05)
    raise AssertionError("the witness does not answer")


def test_a_witness_makes_its_key_once(run, witness_words, tmp_path, monkeypatch):
    monkeypatch.setattr("audit.witness.serve", lambda *_: None)
    first, again = run(*witness_words), run(*witness_words)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout == again.stdout == (tmp_path / "seen/vkey").read_text()


def test_confirm_tells_who_did_not_answer_and_ends_with_4(run, trail, start_witness):
    gone = start_witness().witness.key.vkey()
    result = run("confirm", trail, "--witness", f"{gone} http://127.0.0.1:1")
    assert (result.exit_code, error_of(result)["code"]) == (4, "no_answer")
    assert "300 entries: no witness" in result.stdout


def test_confirm_goes_on_for_ever_when_asked_to(run, trail, tsa, monkeypatch):
    rounds = []

    def sleep(seconds):
        rounds.append(seconds)
        if len(rounds) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("audit.__main__.time.sleep", sleep)
    result = run("confirm", trail, "--stamp", tsa.address, "--every", 7)
    assert rounds == [7, 7]
    assert "300 entries: no witness and a time stamp" in result.stdout


def test_stamps_are_judged_by_the_root_given_and_travel_with_an_export(run, trail, tsa, tmp_path):
    assert run("confirm", trail, "--stamp", tsa.address).exit_code == 0
    assert run("export", trail, tmp_path / "out").exit_code == 0
    result = run("verify", tmp_path / "out", "--stamp-root", tsa.root)
    assert result.exit_code == 0
    assert "confirmed by CN=Time Authority root" in result.output
