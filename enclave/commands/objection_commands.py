"""`enclave objection` and `enclave dataset compact`: a patient says no, and is removed; or takes it back."""

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from enclave import messages
from enclave.agreements.objections import ObjectionKind
from enclave.agreements.rules import has_role
from enclave.commands.console import As, Json, PasswordFile, language, plain, show, sign_in
from enclave.commands.dataset_commands import one_intake
from enclave.errors import BadInput
from enclave.journeys import compaction
from enclave.journeys import objection as journey
from enclave.journeys.compaction import Compacted
from enclave.journeys.objection import Reinstated, Removal, Standing
from enclave.people import Role
from enclave.quarantine import put_aside_counts
from enclave.wiring import compact_tools, objection_tools

Reference = Annotated[str, typer.Argument(help="The reference the person was given.")]
IdentifierFile = Annotated[
    Path | None,
    typer.Option(help="Read the identifier from this file, not the keyboard.", exists=True, dir_okay=False),
]

objection = typer.Typer(help="Objections and erasures of patients.", no_args_is_help=True)

SEES_COUNTS = frozenset(
    {Role.STEWARD, Role.SENIOR_STEWARD, Role.INTAKE_AGENT, Role.PARTNER_DELEGATE, Role.DPO, Role.OPERATOR}
)


@objection.command("record")
def record(
    population: Annotated[str, typer.Option(help="The population the person belongs to.")],
    by: As,
    kind: Annotated[
        ObjectionKind, typer.Option(help="What was asked for; the house does the same for both.")
    ] = ObjectionKind.OBJECTION,
    id_type: Annotated[
        str | None, typer.Option(help="The type of the identifier, where datasets know people by several.")
    ] = None,
    file: IdentifierFile = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Record that a person objects: from now on no question counts them, in any dataset of their population.

    The identifier is asked for twice without being shown, or read from --file or a pipe; never from an argument. Give
    the person the reference that is printed: it says nothing about them. The next compaction removes their rows.

    Example: enclave objection record --population hospital-patients --as dpo-a
    """
    signed = sign_in(by, password_file)
    has_role(signed.visitor.person, journey.RECORDS)
    tools = objection_tools(signed.settings, signed.stores)
    told = journey.record(tools, signed.visitor, population, kind, _identifier(file), id_type)
    reached = ", ".join(told.reached) or _say("no_dataset")
    lines = [
        _say("recorded", reference=told.reference, kind=_kind(told.kind), index=told.index),
        _say("left_out_of", datasets=reached),
    ]
    if told.not_reached:
        lines.append(_say("other_identifier", datasets=", ".join(told.not_reached)))
    show(plain(told), lines, as_json=as_json)


@objection.command("withdraw")
def withdraw(
    reference: Reference,
    by: As,
    file: IdentifierFile = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Take an objection or an erasure back for the person: from now on questions count them again.

    It takes the reference they were given and the identifier it was recorded for, which is asked for twice without
    being shown, or read from --file or a pipe. What a compaction removed does not come back: the partner brings it again.

    Example: enclave objection withdraw opp-3f9a-1c2b-7d04 --as dpo-a
    """
    signed = sign_in(by, password_file)
    has_role(signed.visitor.person, journey.RECORDS)
    tools = objection_tools(signed.settings, signed.stores)
    journey.standing(tools, signed.visitor, reference)  # a mistyped one is said before anything is asked
    told = journey.withdraw(tools, signed.visitor, reference, _identifier(file))
    result = {
        **plain(told.standing),
        "left_out": told.left_out,
        "also": told.also,
        "cut_short": told.cut_short,
    }
    show(result, _told_back(told), as_json=as_json)


@objection.command("status")
def status(
    reference: Reference,
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Say how far an objection is: recorded, removed from which versions, which backups hold keys; or taken back.

    Example: enclave objection status opp-3f9a-1c2b-7d04 --as dpo-a
    """
    signed = sign_in(by, password_file)
    one = journey.standing(objection_tools(signed.settings, signed.stores), signed.visitor, reference)
    show(plain(one), _told(one), as_json=as_json)


@objection.command("list")
def list_objections(by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """List every reference and how far it is, those taken back too; nothing says who.

    Example: enclave objection list --as operator-a
    """
    signed = sign_in(by, password_file)
    found = journey.standings(objection_tools(signed.settings, signed.stores), signed.visitor)
    lines = [line for one in found for line in _told(one)]
    show({"objections": [plain(one) for one in found]}, lines or [_say("nobody")], as_json=as_json)


def compact(
    by: As,
    dataset: Annotated[str | None, typer.Argument(metavar="DATASET")] = None,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="The same id again, or `all`: older versions are destroyed."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dataset.")] = False,  # noqa: FBT002 - a flag of typer
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Write a dataset anew without those who objected, then destroy the keys and files of every older version.

    Rows put aside of those versions are destroyed with them. This cannot be undone. Nothing happens where nobody
    objected since the last time. Questions that are being answered meanwhile may fail, and stay paid.
    Example: enclave dataset compact hospital-stays --confirm hospital-stays --as operator-a
    """
    wanted = "all" if every else dataset
    if wanted is None or (every and dataset is not None):
        raise BadInput("compact_which", "Name one dataset, or give --all.", "See `enclave dataset list`.")
    if confirm != wanted:
        raise BadInput(
            "compact_not_confirmed",
            "Every older version would be destroyed, and this was not confirmed; nothing was changed.",
            f"Add --confirm {wanted}.",
            wanted=wanted,
        )
    signed = sign_in(by, password_file)
    with one_intake(signed.settings), _shown(quiet=as_json) as progress:
        tools = compact_tools(signed.settings, signed.stores)
        ids = [one.id for one in signed.stores.agreements.datasets()] if every else [wanted]
        done = [compaction.compact(tools, signed.visitor, one, progress) for one in ids]
    show(
        {"compacted": [_plain_compacted(one) for one in done]},
        [line for one in done for line in _told_compacted(one)],
        as_json=as_json,
    )


def quarantine(
    dataset: Annotated[str, typer.Argument(metavar="DATASET")],
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Count the rows put aside of each version by rule and column. The rows themselves open for nobody.

    Example: enclave dataset quarantine hospital-stays --as steward-a
    """
    signed = sign_in(by, password_file)
    has_role(signed.visitor.person, SEES_COUNTS)
    signed.stores.agreements.dataset(dataset)
    folder = signed.settings.state / "quarantine"
    found = {
        one.version: put_aside_counts(folder, dataset, one.version)
        for one in signed.stores.agreements.versions(dataset)
    }
    told = [
        {"version": version, "rows": sum(counts.values()), "reasons": counts}
        for version, counts in found.items()
    ]
    lines = [f"{dataset} v{one['version']}: {one['rows']} rows put aside" for one in told]
    for place, counts in reversed(list(enumerate(found.values(), start=1))):
        lines[place:place] = [f"  {count} × {reason}" for reason, count in counts.items()]
    show({"dataset": dataset, "versions": told}, lines or ["no version yet"], as_json=as_json)


def _identifier(file: Path | None) -> str:
    """Read one identifier; whoever types it types it twice."""
    if file is not None:
        return _only_line(file.read_text(encoding="utf-8"))
    if not sys.stdin.isatty():
        return _only_line(sys.stdin.read())
    first = getpass.getpass(_say("identifier"))
    if getpass.getpass(_say("once_more")) != first:
        raise BadInput(
            "identifier_typed_differently", "The two differ; nothing was recorded.", "Type it again."
        )
    return first


def _only_line(text: str) -> str:
    lines = text.split("\n")
    found = [line.strip() for line in lines if line.strip()]
    if len(found) != 1:
        raise BadInput(
            "identifier_not_one", "There is not exactly one line to read.", "Give one identifier at a time."
        )
    return found[0]


def _told(one: Standing) -> Iterator[str]:
    words = {"reference": one.reference, "population": one.population, "kind": _kind(one.kind)}
    yield _say("head", index=one.index, **words)
    yield _say("stands") if one.withdrawn is None else _say("taken_back", index=one.withdrawn)
    yield from map(_how_far, one.datasets)
    if one.not_reached:
        yield _say("not_reached", datasets=", ".join(one.not_reached))


def _told_back(told: Reinstated) -> Iterator[str]:
    one = told.standing
    yield _say("withdrawn", reference=one.reference, kind=_kind(one.kind), index=one.withdrawn)
    if told.also:
        yield _say("also", references=", ".join(told.also))
    if told.cut_short:
        yield _say("cut_short")
    if not told.left_out:
        yield _say("counted_again")
        yield from map(_how_far, one.datasets)


def _how_far(one: Removal) -> str:
    status = "removed_with" if one.status == "removed" and one.removed_from else one.status
    versions = _list(one.still_in or one.removed_from)
    return _say(f"status.{status}", dataset=one.dataset, versions=versions, backups=", ".join(one.backups))


def _kind(kind: str) -> str:
    return _say(f"kinds.{kind}")


def _say(key: str, **params: object) -> str:
    return messages.sentence(f"objection.{key}", language(), **params)


def _list(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions))


def _plain_compacted(one: Compacted) -> dict[str, object]:
    return {**plain(one), "destroyed": [{**plain(each), "status": each.status} for each in one.destroyed]}


def _told_compacted(one: Compacted) -> Iterator[str]:
    if one.rewritten:
        yield f"{one.dataset}: version {one.from_version} written anew as version {one.version}"
    else:
        yield f"{one.dataset}: nothing to remove"
    for each in one.destroyed:
        yield f"  version {each.version} destroyed: {each.status} {' '.join(each.backups)}".rstrip()


@contextmanager
def _shown(*, quiet: bool) -> Iterator[compaction.Progress]:
    """Show one bar a shelf on stderr."""
    shown = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True, quiet=quiet), transient=True) as bar:
        stages: dict[str, TaskID] = {}

        def progress(shelf: str, done: int, of: int) -> None:
            if shelf not in stages or done == 1:
                stages[shelf] = bar.add_task(shelf)
            bar.update(stages[shelf], completed=done, total=of)

        yield progress
