"""What the command line prints: nothing a partner names a file or a column moves the terminal or ends the command."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from enclave import __main__
from enclave.commands.console import show, tell_error
from enclave.commands.dataset_commands import classify
from enclave.errors import BadInput

NAMES = [
    "a[/b].csv",
    "a[red]b.csv",
    "a\x1b[31mb\x1b]0;title\x07.csv",
    "a\n✗ forged.csv",
    "\u202egnp.csv",
    "a\udcffb.csv",
    "a:smile:b.csv",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_hostile_file_name_is_printed_and_not_obeyed(
    name: str,
    as_json: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = BadInput("partner_file_truncated", f"The last line of {name} has no end.", "Copy it.", file=name)
    assert tell_error(error, as_json=as_json) == 2
    told = capsys.readouterr().err
    assert told.count("\n") <= 2
    assert not set(told) & set("\x1b\x07\u202e\udcff")
    assert ("a[/b]" in told) == ("[/b]" in name)
    assert ("[red]" in told) == ("[red]" in name)


def test_what_a_report_says_of_a_hostile_name_is_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    show({}, ["x\x1b[31m\u202e\n  second line, 12\u202f%"], as_json=False)
    assert capsys.readouterr().out == "x\ufffd[31m\ufffd\n  second line, 12\u202f%\n"


def test_a_header_with_marks_in_its_names_is_proposed_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.csv").write_text("kind[/b];a\n1;[bold]\n")
    classify(tmp_path / "s.csv", "stays", "people", None)
    assert "kind[/b]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raised", "code", "exits"),
    [
        (OSError(28, "No space left on device"), "machine_refuses", 4),
        (OperationalError("x", {}, sqlite3.OperationalError("disk is full")), "machine_refuses", 4),
        (DatabaseError("SELECT 'secret'", {}, sqlite3.DatabaseError("malformed")), "house_damaged", 5),
    ],
)
def test_what_the_machine_refuses_is_told_and_never_traced(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    code: str,
    exits: int,
) -> None:
    def app() -> None:
        raise raised

    monkeypatch.setattr(__main__, "app", app)
    monkeypatch.setattr(sys, "argv", ["enclave", "--json"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    told = capsys.readouterr().err
    assert ended.value.code == exits
    assert f'"code":"{code}"' in told
    assert "secret" not in told


def test_no_command_and_nothing_it_starts_leaves_its_memory_on_a_disk() -> None:
    script = (
        "import resource, subprocess, sys; from enclave import __main__;"
        "ask = 'import resource; print(resource.getrlimit(resource.RLIMIT_CORE))';"
        "__main__.app = lambda: sys.stdout.write(subprocess.check_output([sys.executable, '-c', ask], text=True));"
        "__main__.main()"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "(0, 0)\n"


def test_a_fault_of_the_program_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    def app() -> None:
        raise IntegrityError("x", {}, sqlite3.IntegrityError("y"))

    monkeypatch.setattr(__main__, "app", app)
    with pytest.raises(IntegrityError):
        __main__.main()
