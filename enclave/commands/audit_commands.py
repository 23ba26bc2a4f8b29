"""`enclave audit`: taking the trail away; checking it is the business of `python -m audit`, which needs no enclave."""

from pathlib import Path
from typing import Annotated

import typer

from audit.export import export
from audit.projection import NAMES, project
from enclave.commands.console import As, Json, PasswordFile, show, sign_in
from enclave.journeys import scrutiny

audit = typer.Typer(help="The trail: export and verify.", no_args_is_help=True)


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
    scrutiny.note_export(signed.books.recorder, signed.visitor)
    if form is not None:
        project(signed.settings.state / "trail", out, form, request)
        show(
            {"exported": str(out)}, [f"{out}: for reading; the evidence is the trail itself"], as_json=as_json
        )
        return
    export(signed.settings.state / "trail", out)
    show({"exported": str(out)}, [f"{out}: verify it with `python -m audit verify {out}`"], as_json=as_json)


@audit.command("verify")
def verify_trail(by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Verify the trail where it lies. Ends with 1 for anomalies, 5 when it was tampered with.

    Example: enclave audit verify --as auditor-a
    """
    signed = sign_in(by, password_file)
    trusts = scrutiny.trusted(signed.settings.trail)
    report = scrutiny.verify_now(
        signed.books.recorder, signed.visitor, signed.settings.state / "trail", trusts
    )
    lines = [f"{one.number:>2} {one.verdict:<8} {one.words}" for one in report.steps]
    show(report.as_json(), lines, as_json=as_json)
    raise typer.Exit(report.exit_code)
