"""`enclave dataset`: classify, declare, bring in, list."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from anonymisation.identifiers import columns
from enclave import housekeeping, messages
from enclave.agreements.policy import load_policy, policy_sha256
from enclave.agreements.words import Dataset
from enclave.commands.console import As, Json, PasswordFile, Signed, language, plain, show, sign_in
from enclave.errors import EXIT_CODE, BadInput, Refused
from enclave.journeys.intake import IntakeReport, bring_in
from enclave.journeys.shelf_check import Checked, check_shelves
from enclave.partner_file import sample
from enclave.settings import Settings, read_settings
from enclave.wiring import intake_tools, key_tools, open_stores

dataset = typer.Typer(help="Partner data: what it holds, bringing it in.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Argument(help="The dataset policy (YAML).", exists=True, dir_okay=False)]


@dataset.command("classify")
def classify(
    source: Annotated[
        Path, typer.Argument(help="A CSV, Parquet or SAS7BDAT file.", exists=True, dir_okay=False)
    ],
    name: Annotated[str, typer.Option("--dataset", help="The dataset's id.")],
    population: Annotated[str, typer.Option(help="The population its people belong to.")],
    unit: Annotated[
        str | None, typer.Option(help="The column that says who; none where the unit is the row.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Propose a dataset policy from a file's header and values; a steward completes and confirms it.

    Example: enclave dataset classify stays.csv --dataset hospital-stays --population hospital-patients --unit nir
    """
    proposals = columns.classify(sample(source))
    draft = columns.propose_policy(proposals, dataset=name, population=population, unit=unit)
    told = [
        {
            "name": one.name,
            "class": one.class_,
            "kind": one.kind,
            "shelf": one.shelf,
            "reason": one.reason._asdict(),
        }
        for one in proposals
    ]
    show({"columns": told, "policy": draft}, [escape(draft)], as_json=as_json)


@dataset.command("declare")
def declare(
    policy: PolicyFile,
    partner: Annotated[str, typer.Option()],
    title: Annotated[str, typer.Option()],
    by: As,
    password_file: PasswordFile = None,
    *,
    questions_only: bool = False,
    as_json: Json = False,
) -> None:
    """Declare a dataset of a partner and confirm its policy: its files come in under this policy and no other.

    Again, with another policy, before a file that needs another one comes in.
    Example: enclave dataset declare policy.yaml --partner ght-nord --title "Séjours" --as steward-a
    """
    signed = sign_in(by, password_file)
    text = policy.read_text()
    about, confirmed = load_policy(text), policy_sha256(text)
    declared = Dataset(
        about.dataset,
        partner,
        about.population,
        title,
        title,
        questions_only=questions_only,
        confirmed_policy_sha256=confirmed,
    )
    housekeeping.declare_dataset(signed.books, signed.visitor, declared)
    show(
        {"dataset": about.dataset, "policy_sha256": confirmed},
        [f"{about.dataset}  policy {confirmed}"],
        as_json=as_json,
    )


@dataset.command("ingest")
def ingest(
    policy: PolicyFile,
    source: Annotated[Path, typer.Argument(help="The partner's file: CSV, CSV.gz, Parquet or SAS7BDAT.")],
    by: As,
    password_file: PasswordFile = None,
    *,
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Delete the file afterwards wherever it lies.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring a partner's file in as the next version: typed, split, encrypted. An inbox copy is deleted.

    Example: enclave dataset ingest policy.yaml .enclave/inbox/ght-nord/stays.csv --as intake-a
    """
    if not source.is_file():
        raise BadInput(
            "partner_file_missing", f"There is no file {source.name}.", "Check its path.", file=source.name
        )
    signed = sign_in(by, password_file)
    report = _with_progress(signed, policy.read_text(), source, delete_source=delete_source, quiet=as_json)
    show(plain(report), [escape(line) for line in _told(report, source)], as_json=as_json)


def _with_progress(
    signed: Signed, policy: str, source: Path, *, delete_source: bool, quiet: bool
) -> IntakeReport:
    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with (
        one_intake(signed.settings),
        Progress(*shown, console=Console(stderr=True, quiet=quiet), transient=True) as bar,
    ):
        tools = intake_tools(signed.settings, signed.stores)
        stages: dict[str, TaskID] = {}

        def progress(stage: str, done: int, of: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage)
            bar.update(stages[stage], completed=done, total=of or None)

        return bring_in(tools, signed.visitor, policy, source, delete_source=delete_source, progress=progress)


@contextmanager
def one_intake(settings: Settings) -> Iterator[None]:
    """Let one intake work at a time: each closes, at its start, what a crash of the one before left open."""
    handle = os.open(settings.state / "intake.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Refused("intake_busy", "Another file is being brought in.", "Wait until it is done.") from None
    try:
        yield
    finally:
        os.close(handle)


def _told(report: IntakeReport, source: Path) -> Iterator[str]:
    yield f"{report.dataset} v{report.version}: {report.stored} of {report.rows_in} rows, {report.units} units"
    yield f"  read as {report.written}"
    for name, cells in report.columns.items():
        yield f"  {name}: {cells.stored} stored, {cells.empty} empty, {cells.unread} unreadable"
    for reason, count in report.reasons.items():
        yield f"  put aside (encrypted): {count} × {reason}"
    yield f"  manifest {report.manifest_sha256}"
    yield f"  {source.name}: " + (
        "deleted"
        if report.source_deleted
        else "NOT deleted (outside the inbox --delete-source deletes it; one written anew meanwhile stays)"
    )


@dataset.command("check")
def check(
    by: As,
    name: Annotated[
        str | None, typer.Argument(metavar="DATASET", help="One dataset; all where none is named.")
    ] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Read every file of every version through and hold it against its signed manifest; no shelf is opened.

    After a restore, or on suspicion: a question reads only the columns it asks for. Ends with 5 where something is not
    what was written.
    Example: enclave dataset check --as operator-a
    """
    signed = sign_in(by, password_file)
    found = check_shelves(key_tools(signed.settings, signed.stores), signed.visitor, name)
    told = [{**vars(one), "wrong": one.wrong and messages.error(one.wrong, language())} for one in found]
    lines = [escape(_looked_through(one)) for one in found] or ["no version yet"]
    show({"checked": told}, lines, as_json=as_json)
    if any(one.wrong for one in found):
        raise typer.Exit(EXIT_CODE["damaged"])


def _looked_through(one: Checked) -> str:
    if one.wrong is None:
        return f"{one.dataset} v{one.version}: {one.parts} parts, {one.bytes} bytes, as they were written"
    told = messages.error(one.wrong, language())
    return f"{one.dataset} v{one.version}: {told['message']} {told['to_do']}"


@dataset.command("list")
def list_datasets(*, as_json: Json = False) -> None:
    """List datasets and their current versions.

    Example: enclave dataset list --json
    """
    found = open_stores(read_settings()).agreements.datasets()
    told = [
        {"dataset": one.id, "partner": one.partner, "population": one.population, "version": one.version}
        for one in found
    ]
    lines = [f"{one.id:<24} v{one.version or '-'}  {one.partner}  {one.population}" for one in found]
    show({"datasets": told}, lines, as_json=as_json)
