"""A house with a witness, a time-stamping authority and an auditor: what they see of it, and of a ledger put back."""

import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit.checkpoint import create_key, load_signer
from enclave import housekeeping
from enclave.demo import cast
from enclave.demo.open_house import free_port, opened, settings_for
from enclave.demo.play_scrutiny import processes_naming
from enclave.desks import FrontDesk
from enclave.people import Role
from enclave.settings import Settings
from enclave.web.sheets import FileIn
from enclave.wiring import front_desk, prepare_state
from tests.living import Lived
from tests.unit.audit.conftest import Authority, authority

PATIENTS, STAYS = 400, 1_000
SENIOR = "senior-steward-a"
WAIT_SECONDS = 60.0
QUESTION = {
    "v": 1,
    "dataset": cast.HOSPITAL,
    "unit": {"rows": 2, "groups": 1},
    "ask": [{"name": "stays", "stat": "count"}],
}


@dataclass(frozen=True)
class Watched:
    """A house, and who watches it."""

    lived: Lived
    tsa: Authority
    folder: Path

    @property
    def settings(self) -> Settings:
        return self.lived.house.settings

    def desk(self) -> FrontDesk:
        return front_desk(
            self.settings, listen=lambda _: None, hang_up=lambda _: None, service="command-line"
        )

    def asked(self, rho_micro: int) -> subprocess.CompletedProcess[str]:
        file = self.folder / "question.json"
        file.write_text(json.dumps({**QUESTION, "rho_micro": rho_micro}))
        return self.lived.command(
            "ask", "--project", cast.PROJECT, "--file", str(file), "--json", person=cast.RESEARCHER
        )

    def reconciled(self) -> dict:
        done = self.lived.command("audit", "reconcile", "--json", person=cast.AUDITOR)
        told: dict = json.loads(done.stdout)
        assert done.returncode == (0 if told["completeness"] else 1), done.stderr
        return told


@contextmanager
def witness(folder: Path, log_key: str) -> Iterator[str]:
    """Run a witness as its partner would; gives `VKEY URL`."""
    port = free_port()
    words = folder / "witness.pass"
    words.write_text("several words nobody guesses")
    command = [sys.executable, "-m", "audit", "witness", "--dir", str(folder / "seen"), "--port", str(port)]
    command += ["--name", "witness.example/one", "--key-file", str(folder / "witness.pem")]
    command += ["--passphrase-file", str(words), "--log-key", log_key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield f"{key} http://127.0.0.1:{port}"
        process.terminate()


def until(happened) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    if os.getuid() == 0:
        pytest.fail("a house does not open for root: use scripts/test")
    folder = tmp_path_factory.mktemp("watched")
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    run = run.rename(run.with_name(run.name.lower()))
    settings = settings_for(folder / "house", run, free_port())
    passphrase = prepare_state(settings)
    create_key(settings.state / "keys" / "trail.key", passphrase)
    signer = load_signer(settings.state / "keys" / "trail.key", passphrase, settings.trail.origin)
    for name in ("tsa", "partner"):
        (folder / name).mkdir()
    with (
        witness(folder / "partner", signer.verifier.vkey()) as one,
        authority(folder / "tsa", "Time Authority") as tsa,
    ):
        trail = {"witnesses": (one,), "stamp_url": tsa.address, "stamp_roots_file": tsa.root}
        settings = settings.model_copy(update={"trail": settings.trail.model_copy(update=trail)})
        extra = {
            "ENCLAVE_TRAIL__WITNESSES": json.dumps([one]),
            "ENCLAVE_TRAIL__STAMP_URL": tsa.address,
            "ENCLAVE_TRAIL__STAMP_ROOTS_FILE": str(tsa.root),
        }
        with opened(settings, extra=extra) as house:
            stage = house.stage()
            passwords = cast.people(stage)
            passwords[SENIOR] = cast.new_password()
            operator = stage.visitor(cast.OPERATOR)
            senior = frozenset({Role.SENIOR_STEWARD})
            housekeeping.add_person(stage.books, operator, SENIOR, senior, passwords[SENIOR])
            cast.agreements(stage)
            files = cast.deliver(settings, PATIENTS, STAYS)
            cast.intake(stage, {cast.HOSPITAL: files[cast.HOSPITAL]}, lambda _: None)
            yield Watched(Lived(house, passwords, []), tsa, folder)
    shutil.rmtree(run, ignore_errors=True)


def test_the_house_has_its_trail_confirmed_by_a_process_of_its_own(watched: Watched) -> None:
    confirmed = watched.settings.state / "trail" / "confirmed"
    until(lambda: list(confirmed.glob("*.tsr")))
    (first, *_) = sorted(confirmed.glob("*.checkpoint"))
    assert "— witness.example/one " in first.read_text()
    stamped = ["openssl", "ts", "-verify", "-in", f"{first}.tsr", "-data", str(first)]
    subprocess.run([*stamped, "-CAfile", str(watched.tsa.root)], check=True, capture_output=True)
    verifying = [sys.executable, "-m", "audit", "verify", str(watched.settings.state / "trail"), "--json"]
    verifying += ["--witness-key", watched.settings.trail.witnesses[0].split()[0]]
    report = json.loads(
        subprocess.run(
            [*verifying, "--stamp-root", str(watched.tsa.root)], capture_output=True, check=False
        ).stdout
    )
    assert report["witnessed"]["by"] == ["witness.example/one"]
    assert report["stamped"]["size"] > 0


def test_every_book_of_an_open_house_agrees_with_its_trail_and_a_package_carries_its_stamp(
    watched: Watched,
) -> None:
    assert watched.asked(1_000).returncode == 0
    desk = watched.desk()
    people = {name: desk.person(name) for name in (cast.RESEARCHER, *cast.STEWARDS)}
    author = people[cast.RESEARCHER]
    table = FileIn("table.csv", b"sex,stays\nF,120\nM,130\n")
    request = desk.create_request(author, cast.PROJECT, "Table 1", "An article", [table])
    desk.move(author, request, "submit", "")
    (file,) = desk.request(author, request).files
    for name in cast.STEWARDS:
        desk.vote(people[name], request, file.sha256, "approve", "")
    desk.move(people[cast.STEWARDS[0]], request, "package", "")
    package = b"".join(desk.download(author, request).chunks)
    desk.denials.settle()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        for name in ("checkpoint", "checkpoint.tsr"):
            (watched.folder / name).write_bytes(archive.read(name))
    stamped = ["openssl", "ts", "-verify", "-in", "checkpoint.tsr", "-data", "checkpoint"]
    subprocess.run(
        [*stamped, "-CAfile", str(watched.tsa.root)], cwd=watched.folder, check=True, capture_output=True
    )
    told = watched.reconciled()
    assert (told["integrity"], told["completeness"], told["books"]["unread"]) == (True, True, []), told[
        "anomalies"
    ]
    assert told["books"]["records"] > 30
    stated = watched.folder / "statement.jsonl"
    for code in (0, 2):  # a file that is there is left alone
        done = watched.lived.command("audit", "reconcile", "--out", str(stated), person=cast.AUDITOR)
        assert done.returncode == code, done.stderr
    elsewhere = [sys.executable, "-m", "audit", "verify", str(watched.settings.state / "trail")]
    assert subprocess.run([*elsewhere, "--against", str(stated)], check=False).returncode == 0
    (watched.settings.state / "releases" / request / "package.sealed").write_bytes(b"another")
    assert [one["code"] for one in watched.reconciled()["anomalies"]] == ["other_bytes"]


@pytest.mark.long  # a dozen commands; what the engine refuses is also in tests/unit/journeys/test_ledger_guard.py
def test_a_ledger_put_back_answers_nothing_until_what_it_lost_is_entered_again(watched: Watched) -> None:
    state, supervisor = watched.settings.state, watched.lived.house.process.pid
    backup = watched.folder / "ledger-of-last-night"
    assert watched.asked(1_500).returncode == 0  # the first question of a house also writes its caps
    with sqlite3.connect(state / "ledger.db") as ledger, sqlite3.connect(backup) as copy:
        ledger.backup(copy)
    assert watched.asked(2_000).returncode == 0
    os.kill(supervisor, signal.SIGSTOP)  # it would start the engine again before the ledger is there
    (engine,) = (pid for pid in processes_naming(str(state)) if b"enclave.engine" in cmdline(pid))
    os.kill(int(engine), signal.SIGKILL)
    until(lambda: not cmdline(engine))
    for path in state.glob("ledger.db*"):
        path.unlink()
    shutil.copy(backup, state / "ledger.db")
    (state / "ledger.db").chmod(0o600)
    os.kill(supervisor, signal.SIGCONT)
    until(lambda: b"engine_down" not in watched.asked(3_000).stderr.encode())
    refused = watched.asked(3_000)
    assert (refused.returncode, json.loads(refused.stderr)["error"]["code"]) == (5, "ledger_older_than_trail")
    assert "in_trail_not_in_ledger" in [one["code"] for one in watched.reconciled()["anomalies"]]
    steward = watched.lived.command("budget", "reenter", "--json", person=cast.STEWARDS[0])
    assert steward.returncode == 3
    entered = watched.lived.command("budget", "reenter", "--json", person=SENIOR)
    assert json.loads(entered.stdout) == {"entered": 1}
    assert watched.asked(3_000).returncode == 0
    lost = [one["about"] for one in watched.reconciled()["anomalies"] if "ledger" in one["code"]]
    assert lost == ["answer"]  # of the one question: the answer itself does not come back


def cmdline(pid: str) -> bytes:
    try:
        return (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return b""
