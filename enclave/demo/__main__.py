"""The demonstration: opens a house with people and data for somebody to try, or plays it and checks every promise."""

import argparse
import signal
import sys
from pathlib import Path

from rich.console import Console

from enclave.commands.console import ERRORS, tell_error
from enclave.demo import cast
from enclave.demo.check import check
from enclave.demo.open_house import opened
from enclave.journeys.intake import IntakeReport
from enclave.settings import read_settings


def _interactive() -> int:
    console = Console(highlight=False)
    settings = read_settings()
    console.print("[bold]Opening the enclave[/] (a first start takes a minute)")
    with opened(settings, quiet=False) as house:
        stage = house.stage()
        passwords = cast.people(stage)
        cast.agreements(stage)
        if stage.agreements.dataset(cast.HOSPITAL).version is None:
            cast.intake(stage, cast.deliver(settings), lambda report: console.print(_told(report)))
        console.print(f"\n[bold]{house.origin}/[/]  — passwords of this start, kept nowhere:")
        for person, password in passwords.items():
            console.print(f"  {person:<14} {password}   [dim]{', '.join(sorted(cast.PEOPLE[person]))}[/]")
        console.print("\nCtrl-C stops everything.")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


def _told(report: IntakeReport) -> str:
    return f"[green]●[/] {report.dataset} v{report.version}: {report.stored:,} rows, encrypted; the inbox copy is deleted"


def main() -> int:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="play the story and check every promise")
    parser.add_argument("--keep", type=Path, help="with --check: keep the state in this folder")
    parser.add_argument("--json", action="store_true", help="with --check: print one JSON object")
    asked = parser.parse_args()
    try:
        return check(keep=asked.keep, as_json=asked.json) if asked.check else _interactive()
    except ERRORS as error:
        return tell_error(error, as_json=asked.json)


if __name__ == "__main__":
    sys.exit(main())
