"""Whatever goes wrong: a message that says what happened, to what and what to do, a non-zero exit, nothing half done."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.verify import verify
from enclave.demo.cast import HOSPITAL, INTAKE, PARTNER, PROJECT, RESEARCHER, STEWARDS, policy
from enclave.demo.open_house import free_port, house_environment, settings_for
from enclave.settings import Settings
from tests.living import Lived, living

USAGE, REFUSED, DOWN = 2, 3, 4
STAYS_HEADER = "nir;last_name;first_name;birth_date;sex;postcode;dept;cim10;ccam;hospital;admission;discharge;length_of_stay;cost;note"
ROW = "295017502300114;A;B;1995-01-02;F;59000;59;I50;;599999001;2024-01-01;2024-01-03;2;100.50;rien"


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Give the one JSON error on stderr; nothing else may stand there."""
    assert done.stdout == ""
    error: dict[str, Any] = json.loads(done.stderr)["error"]
    assert error["message"]
    return error


def ingest(
    lived: Lived, tmp_path: Path, content: str, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    source, policy_file = tmp_path / "stays.csv", tmp_path / "policy.yaml"
    source.write_text(content)
    policy_file.write_text(text or policy(HOSPITAL))
    done = lived.command("dataset", "ingest", str(policy_file), str(source), "--json", person=INTAKE)
    assert source.read_text() == content, "the partner's file was touched by a refusal"
    return done


def versions(lived: Lived) -> int:
    return len(lived.stage.agreements.versions(HOSPITAL))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(
            f"{STAYS_HEADER}\n{ROW}\n{ROW[:40]}", "partner_file_truncated", id="a file cut in its last line"
        ),
        pytest.param("a;b\n1;2\n", "partner_file_columns_missing", id="another table"),
        pytest.param(
            f"{STAYS_HEADER};more\n{ROW};x\n", "partner_file_columns_unknown", id="a column nobody declared"
        ),
        pytest.param(
            f"{STAYS_HEADER}\n" + ROW.replace("I50", "Z99") + "\n",
            "too_many_bad_rows",
            id="codes outside their domain",
        ),
        pytest.param(
            f"{STAYS_HEADER}\n" + ROW.replace("295017502300114", "123") + "\n",
            "too_many_bad_rows",
            id="no identity numbers",
        ),
        pytest.param(f"{STAYS_HEADER}\n", "too_many_bad_rows", id="a header alone"),
    ],
)
def test_a_file_that_does_not_fit_its_policy_is_refused_whole(
    lived: Lived, tmp_path: Path, content: str, code: str
) -> None:
    before = versions(lived)
    done = ingest(lived, tmp_path, content)
    assert (done.returncode, told(done)["code"]) == (USAGE, code)
    assert versions(lived) == before
    assert not list((lived.house.settings.state / "shelves").glob("*/*.partial"))
    assert "295017502300114" not in done.stderr


def test_a_policy_with_an_unknown_key_is_refused_with_its_line(lived: Lived, tmp_path: Path) -> None:
    done = ingest(
        lived, tmp_path, f"{STAYS_HEADER}\n{ROW}\n", policy(HOSPITAL).replace("disclosure:", "disclosures:")
    )
    assert done.returncode == USAGE
    assert "ine" in told(done)["message"]


def test_a_policy_no_steward_confirmed_brings_nothing_in(lived: Lived, tmp_path: Path) -> None:
    before = versions(lived)
    done = ingest(lived, tmp_path, f"{STAYS_HEADER}\n{ROW}\n", policy(HOSPITAL) + "# one byte more\n")
    assert (done.returncode, told(done)["code"]) == (REFUSED, "policy_not_confirmed")
    assert versions(lived) == before


def ask(
    lived: Lived,
    tmp_path: Path,
    question: dict[str, Any],
    *,
    project: str = PROJECT,
    person: str = RESEARCHER,
) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "question.json"
    file.write_text(json.dumps(question))
    return lived.command("ask", "--project", project, "--file", str(file), "--json", person=person)


COUNT = {
    "v": 1,
    "dataset": HOSPITAL,
    "by": ["sex"],
    "ask": [{"name": "n", "stat": "count"}],
    "rho_micro": 1_000,
}


@pytest.mark.parametrize(
    ("question", "exit_code"),
    [
        pytest.param({**COUNT, "by": ["sexe"]}, USAGE, id="an unknown column"),
        pytest.param({**COUNT, "dataset": "nothing-here"}, REFUSED, id="an unknown dataset"),
        pytest.param({**COUNT, "rho_micro": 40_000_000}, REFUSED, id="more than any budget"),
        pytest.param(
            {**COUNT, "ask": [{"name": "n", "stat": "logistic"}]}, USAGE, id="a statistic that is not there"
        ),
        pytest.param({**COUNT, "more": 1}, USAGE, id="a key that is not of the form"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_and_costs_nothing(
    lived: Lived, tmp_path: Path, question: dict[str, Any], exit_code: int
) -> None:
    before = lived.command("budget", "--project", PROJECT, "--json", person=RESEARCHER).stdout
    done = ask(lived, tmp_path, question)
    assert done.returncode == exit_code, done.stderr
    assert told(done)["to_do"]
    assert lived.command("budget", "--project", PROJECT, "--json", person=RESEARCHER).stdout == before


def test_an_unknown_project_is_refused(lived: Lived, tmp_path: Path) -> None:
    assert ask(lived, tmp_path, COUNT, project="not-a-project").returncode == REFUSED


def test_a_steward_cannot_ask_for_want_of_the_role(lived: Lived, tmp_path: Path) -> None:
    assert ask(lived, tmp_path, COUNT, person=STEWARDS[0]).returncode == REFUSED


def test_a_researcher_cannot_bring_a_file_in(lived: Lived, tmp_path: Path) -> None:
    source, policy_file = tmp_path / "s.csv", tmp_path / "p.yaml"
    source.write_text(f"{STAYS_HEADER}\n{ROW}\n")
    policy_file.write_text(policy(HOSPITAL))
    done = lived.command("dataset", "ingest", str(policy_file), str(source), "--json", person=RESEARCHER)
    assert (done.returncode, told(done)["code"]) == (REFUSED, "role_missing")


def test_a_wrong_password_is_refused_and_in_the_trail(lived: Lived, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("not the password at all")
    done = lived.command(
        "budget", "--project", PROJECT, "--as", RESEARCHER, "--password-file", str(wrong), "--json"
    )
    assert done.returncode == REFUSED
    assert "not the password" not in done.stderr


def test_a_keyring_without_its_passphrase_keeps_the_house_shut(lived: Lived, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "state", tmp_path_short(), free_port())
    shutil.copytree(lived.house.settings.state / "keys", settings.state / "keys")
    (settings.state / "keys" / "passphrase").unlink()
    settings.state.chmod(0o700)
    done = up(settings)
    assert done.returncode == REFUSED
    assert "keyring" in done.stderr


def up(settings: Settings, *inside: str) -> subprocess.CompletedProcess[str]:
    """Try to open a house; it is expected to refuse."""
    return subprocess.run(
        [*inside, sys.executable, "-m", "enclave", "up"],
        env=house_environment(settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def tmp_path_short() -> Path:
    """Give a run folder's name; nothing is there yet."""
    return Path(f"/tmp/enc-{os.getpid()}-{time.monotonic_ns() % 10**9}")


def test_a_taken_address_keeps_the_house_shut_and_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = settings_for(tmp_path / "state", tmp_path_short(), taken.getsockname()[1])
        done = up(settings)
    assert done.returncode == REFUSED
    assert settings.bind in done.stderr


def test_without_user_namespaces_the_house_stays_shut(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "state", tmp_path_short(), free_port())
    closed = ("bwrap", "--unshare-user", "--disable-userns", "--dev-bind", "/", "/", "--")
    done = up(settings, *closed)
    assert done.returncode == REFUSED
    assert "namespaces" in done.stderr


def test_a_second_house_on_the_same_state_is_refused(lived: Lived) -> None:
    done = lived.command("up")
    assert done.returncode == REFUSED
    assert "status" in done.stderr


def pid_of(lived: Lived, part: str) -> int:
    """Find a process of this house by what started it."""
    state = str(lived.house.settings.state).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if state in environ + command and part.encode() in command.replace(b"\0", b" "):
            return int(process.name)
    raise AssertionError(f"no process of this house runs {part}")


PARTS = {
    "recorder": "-m audit serve",
    "engine": "-m enclave.engine",
    "service": "-m enclave.service",
    "hub": "-m jupyterhub",
}


def test_a_recorder_that_stands_still_stops_every_act_with_a_message(lived: Lived, tmp_path: Path) -> None:
    recorder = pid_of(lived, PARTS["recorder"])
    os.kill(recorder, signal.SIGSTOP)
    try:
        done = ask(lived, tmp_path, {**COUNT, "rho_micro": 1_001})
    finally:
        os.kill(recorder, signal.SIGCONT)
    assert (done.returncode, told(done)["code"]) == (DOWN, "recorder_down")


@pytest.mark.parametrize("part", list(PARTS))
def test_after_kill_9_the_house_goes_on_and_the_trail_explains_itself(
    lived: Lived, tmp_path: Path, part: str
) -> None:
    file = tmp_path / "question.json"
    file.write_text(json.dumps({**COUNT, "rho_micro": 1_100 + list(PARTS).index(part)}))
    asking = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "enclave",
            "ask",
            "--project",
            PROJECT,
            "--file",
            str(file),
            "--json",
            "--as",
            RESEARCHER,
            "--password-file",
            str(password(lived, tmp_path)),
        ],
        env=lived.house.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.5)
    killed = pid_of(lived, PARTS[part])
    os.kill(killed, signal.SIGKILL)
    asking.wait(120)
    lived.house.wait()
    wait_for_another(lived, part, killed)
    done = ask(lived, tmp_path, {**COUNT, "rho_micro": 1_200 + list(PARTS).index(part)})
    assert done.returncode == 0, done.stderr
    report = verify(lived.house.settings.state / "trail")
    assert report.integrity
    assert report.intents_without_outcome == 0, report.anomalies


def password(lived: Lived, folder: Path) -> Path:
    file = folder / "password.txt"
    file.write_text(lived.passwords[RESEARCHER])
    return file


def wait_for_another(lived: Lived, part: str, killed: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if pid_of(lived, PARTS[part]) != killed:
                lived.house.wait()
                return
        except AssertionError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"the {part} was not started again")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Lived]:
    """Open a house of its own: what everybody else asks about must not become the fifty rows of this test."""
    with living(tmp_path / "house") as house:
        yield house


def test_after_kill_9_of_an_intake_nothing_half_brought_in_is_left(own: Lived, tmp_path: Path) -> None:
    inbox = own.house.settings.state / "inbox" / PARTNER
    source, policy_file = inbox / "again.csv", tmp_path / "policy.yaml"
    source.write_text(f"{STAYS_HEADER}\n" + f"{ROW}\n" * 400_000)
    policy_file.write_text(policy(HOSPITAL))
    before = versions(own)
    secret = tmp_path / "intake.txt"
    secret.write_text(own.passwords[INTAKE])
    bringing = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "enclave",
            "dataset",
            "ingest",
            str(policy_file),
            str(source),
            "--as",
            INTAKE,
            "--password-file",
            str(secret),
        ],
        env=own.house.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    shelves = own.house.settings.state / "shelves"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(shelves.glob("*/*.partial")) and bringing.poll() is None:
        time.sleep(0.01)
    bringing.kill()
    bringing.wait(30)
    assert source.exists(), "the partner's file was lost"
    assert versions(own) == before
    source.write_text(f"{STAYS_HEADER}\n" + f"{ROW}\n" * 50)
    done = own.command("dataset", "ingest", str(policy_file), str(source), "--json", person=INTAKE)
    assert done.returncode == 0, done.stderr
    assert versions(own) == before + 1
    assert not list(shelves.glob("*/*.partial"))
    assert verify(own.house.settings.state / "trail").intents_without_outcome == 0
