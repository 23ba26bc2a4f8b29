"""`enclave release`: the same checks and requests as in a notebook, for scripts."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from enclave.commands.console import Api, As, Json, PasswordFile, show, sign_in
from enclave.errors import BadInput
from enclave.wiring import front_desk

release = typer.Typer(help="Files that ask to leave.", no_args_is_help=True)

FILE_BYTES_MAX = 16 << 20
MARKS = {"pass": "[green]✓[/]", "review": "[yellow]?[/]", "fail": "[red]✗[/]"}

Project = Annotated[str, typer.Option(help="The project the files come from.")]
Files = Annotated[list[Path], typer.Argument(help="The files.")]


@release.command("check")
def check(
    files: Files, project: Project, by: As, password_file: PasswordFile = None, *, as_json: Json = False
) -> None:
    """Run the release checks on files without asking for anything; recorded. Ends with 1 unless all pass.

    Example: enclave release check table.csv --project cardio --as researcher-a
    """
    report = Api(by, project, password_file).call("POST", "/check", {"files": _sent(files)})
    show(report, _told(report), as_json=as_json)
    if report["verdict"] != "pass":
        raise typer.Exit(1)


@release.command("submit")
def submit(
    files: Files,
    project: Project,
    title: Annotated[str, typer.Option()],
    purpose: Annotated[str, typer.Option()],
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Ask for files to leave: checked at once, then reviewed by two stewards.

    Example: enclave release submit table.csv --project cardio --title "Table 1" --purpose article --as researcher-a
    """
    api = Api(by, project, password_file)
    body = {"title": title, "purpose": purpose, "files": _sent(files)}
    identifier = api.call("POST", "/requests", body)["id"]
    told = api.call("POST", f"/requests/{identifier}/submit")
    show(told, [f"{told['id']}: {escape(told['words'])}"], as_json=as_json)


@release.command("list")
def list_requests(
    project: Project, by: As, password_file: PasswordFile = None, *, as_json: Json = False
) -> None:
    """List your requests in a project.

    Example: enclave release list --project cardio --as researcher-a
    """
    told = Api(by, project, password_file).call("GET", "/requests")
    show(
        told,
        [f"{one['id']}  {one['status']:<20} {escape(one['title'])}" for one in told["requests"]],
        as_json=as_json,
    )


@release.command("retry")
def retry(request: str, by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Try again a request whose checks or packaging failed, as an operator.

    Example: enclave release retry 0193… --as operator-a
    """
    signed = sign_in(by, password_file)
    desk = front_desk(signed.settings, listen=lambda _: None, hang_up=lambda _: None, service="command-line")
    status = desk.retry_release(signed.visitor.person, request)
    desk.denials.settle()
    show({"id": request, "status": status}, [f"{request}: {status}"], as_json=as_json)


def _sent(files: list[Path]) -> list[dict[str, str]]:
    return [{"name": file.name, "base64": base64.b64encode(_content(file)).decode()} for file in files]


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise BadInput(
                "file_too_large",
                f"{file.name} is larger than 16 MB.",
                "Send less.",
                file=file.name,
                most=FILE_BYTES_MAX,
            )
        return file.read_bytes()
    except OSError:
        raise BadInput(
            "file_unreadable", f"{file.name} cannot be read.", "Check its path.", file=file.name
        ) from None


def _told(report: dict[str, Any]) -> Iterator[str]:
    for file in report["files"]:
        yield f"{MARKS[file['verdict']]} {escape(file['file'])}"
        for finding in file["findings"]:
            yield f"  {MARKS[finding['verdict']]} {finding['check']}, {escape(finding['where'])}: {finding['rule']}\n    → {finding['fix']}"
