"""`enclave audit`: taking the trail away; checking it is the business of `python -m audit`, which needs no enclave."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from audit.export import STATEMENT, export
from audit.projection import NAMES, project
from audit.report import SHOWN
from enclave.commands import retention_commands
from enclave.commands.console import As, Json, PasswordFile, Signed, show, sign_in
from enclave.errors import BadInput
from enclave.journeys import scrutiny
from enclave.journeys.statement import BooksOfTheHouse
from enclave.wiring import books_of_the_house, recorder

audit = typer.Typer(help="The trail: export, verify, details of persons and their end.", no_args_is_help=True)
audit.command("detail")(retention_commands.detail)
audit.command("retention")(retention_commands.retention)
audit.command("erase")(retention_commands.erase)
audit.command("prune")(retention_commands.prune)


@audit.command("export")
def export_trail(
    out: Annotated[Path, typer.Argument(help="A new folder, or a new file with --format.")],
    by: As,
    password_file: PasswordFile = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help=f"A projection for reading, no evidence: {', '.join(NAMES)}."),
    ] = None,
    request: Annotated[str | None, typer.Option(help="The release request of a PROV document.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Copy the trail for somebody who verifies it elsewhere; the export is itself recorded.

    Example: enclave audit export /media/key/trail --as auditor-a
    """
    signed = sign_in(by, password_file)
    trail = signed.settings.state / "trail"
    if form is not None:
        scrutiny.note_export(signed.books.recorder, signed.visitor)
        project(trail, out, form, request)
        show(
            {"exported": str(out)}, [f"{out}: for reading; the evidence is the trail itself"], as_json=as_json
        )
        return
    export(trail, out, scrutiny.state_books(signed.visitor, _books(signed)))
    check = f"python -m audit verify {out} --against {out / STATEMENT}"
    show({"exported": str(out)}, [f"{out}: verify it with `{check}`"], as_json=as_json)


@audit.command("verify")
def verify_trail(by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Verify the trail where it lies, and against the house's books. Ends with 1 for anomalies, 5 when tampered with.

    Example: enclave audit verify --as auditor-a
    """
    signed = sign_in(by, password_file)
    _verify(signed, as_json=as_json)


@audit.command("reconcile")
def reconcile(
    by: As,
    out: Annotated[
        Path | None, typer.Option(help="A new file for the statement of the books; without, compare now.")
    ] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Compare the trail with the ledger, releases, datasets and notebooks, or write down what those say.

    The file is for `python -m audit verify DIR --against FILE`, on another machine.

    Example: enclave audit reconcile --as auditor-a
    """
    signed = sign_in(by, password_file)
    if out is None:
        _verify(signed, as_json=as_json)
    statement = scrutiny.state_books(signed.visitor, _books(signed))
    try:
        with out.open("xb") as file:
            file.write(statement.to_bytes())
    except OSError:
        raise BadInput(
            "statement_not_written",
            f"{out.name} cannot be written, or is there already.",
            "Give a new file.",
            file=out.name,
        ) from None
    told = {"records": len(statement.records), "unread": list(statement.heading.unread), "file": str(out)}
    unread = ", ".join(statement.heading.unread) or "nothing"
    show(told, [f"{out}: {told['records']} records; not read: {unread}"], as_json=as_json)


@audit.command("hours")
def hours(
    by: As,
    reason: Annotated[str, typer.Option(help="Why, as a code of small letters: it goes into the trail.")],
    password_file: PasswordFile = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="Stop watching.")] = False,
    as_json: Json = False,
) -> None:
    """Decide, as the data protection officer, that acts outside working hours are flagged; nobody's are without this.

    Example: enclave audit hours --reason works-council-2026-11 --as dpo-a
    """
    signed = sign_in(by, password_file)
    scrutiny.watch_hours(signed.books.recorder, signed.visitor, reason, watched=not off)
    words = "no longer watched" if off else "watched from now on"
    show({"watched": not off}, [f"working hours are {words}"], as_json=as_json)


def _verify(signed: Signed, *, as_json: bool) -> NoReturn:
    trusts = scrutiny.trusted(signed.settings.trail)
    trail = signed.settings.state / "trail"
    report = scrutiny.verify_now(signed.books.recorder, signed.visitor, trail, trusts, _books(signed))
    lines = [f"{one.number:>2} {one.verdict:<8} {one.words}" for one in report.steps]
    lines += [f"   {one.words} ({one.code})" for one in report.anomalies[:SHOWN]]
    show(report.as_json(), lines, as_json=as_json)
    raise typer.Exit(report.exit_code)


def _books(signed: Signed) -> BooksOfTheHouse:
    return books_of_the_house(signed.settings, signed.stores, recorder(signed.settings, "command-line"))
