"""`enclave person | partner | project | agreement`: who is known and what was agreed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from enclave import housekeeping
from enclave.agreements.words import Agreement, Grant, MemberRole, Partner, Project, Use
from enclave.commands.console import As, Json, PasswordFile, books, read_password, show, sign_in
from enclave.people import Role
from enclave.recording import Visitor
from enclave.settings import read_settings
from enclave.wiring import open_stores

person = typer.Typer(help="People and their roles.", no_args_is_help=True)
partner = typer.Typer(help="Partners who share data.", no_args_is_help=True)
project = typer.Typer(help="Projects and who works in them.", no_args_is_help=True)
agreement = typer.Typer(help="What partners agreed to.", no_args_is_help=True)

Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]


@person.command("add")
def add_person(
    name: Annotated[str, typer.Argument(metavar="PERSON", help="An id: small letters, digits, hyphens.")],
    role: Annotated[list[Role], typer.Option(help="May be given several times.")],
    new_password_file: Annotated[
        Path | None, typer.Option(help="The person's first password.", exists=True)
    ] = None,
    by: Annotated[
        str | None, typer.Option("--as", metavar="OPERATOR", help="Not for the very first operator.")
    ] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a person known.

    Example: enclave person add steward-a --role steward --as operator-a
    """
    visitor: Visitor | None = None
    if by is None:
        settings = read_settings()
        opened = books(settings, open_stores(settings))
    else:
        signed = sign_in(by, password_file)
        opened, visitor = signed.books, signed.visitor
    password = read_password(name, new_password_file)
    housekeeping.add_person(opened, visitor, name, frozenset(role), password)
    show(
        {"person": name, "roles": sorted(role)},
        [f"{name}: {', '.join(sorted(role))}"],
        as_json=as_json,
    )


@person.command("list")
def list_people(*, as_json: Json = False) -> None:
    """List who is known.

    Example: enclave person list
    """
    accounts = open_stores(read_settings()).accounts.people()
    people = {one.person.id: sorted(one.person.roles) for one in accounts if one.person.active}
    show(
        {"people": people},
        [f"{name:<24} {', '.join(roles)}" for name, roles in people.items()],
        as_json=as_json,
    )


@partner.command("add")
def add_partner(
    name: str,
    title: Annotated[str, typer.Option()],
    by: As,
    password_file: PasswordFile = None,
    *,
    veto: bool = False,
    as_json: Json = False,
) -> None:
    """Declare a partner.

    Example: enclave partner add ght-nord --title "GHT du Nord" --as operator-a
    """
    signed = sign_in(by, password_file)
    housekeeping.add_partner(signed.books, signed.visitor, Partner(name, title, title, veto=veto))
    show({"partner": name}, [name], as_json=as_json)


@project.command("add")
def add_project(
    name: str,
    title: Annotated[str, typer.Option()],
    ends_on: Day,
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Declare a project.

    Example: enclave project add cardio --title "Insuffisance cardiaque" --ends-on 2027-12-31 --as operator-a
    """
    signed = sign_in(by, password_file)
    housekeeping.add_project(signed.books, signed.visitor, Project(name, title, ends_on.date()))
    show({"project": name}, [name], as_json=as_json)


@project.command("grant")
def grant(
    name: str,
    member: str,
    by: As,
    role: MemberRole = MemberRole.RESEARCHER,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Give a person a place in a project.

    Example: enclave project grant cardio researcher-a --as operator-a
    """
    signed = sign_in(by, password_file)
    housekeeping.give_place(signed.books, signed.visitor, Grant(member, name, role))
    show(
        {"project": name, "person": member},
        [f"{member} in {name}"],
        as_json=as_json,
    )


@agreement.command("add")
def add_agreement(
    name: str,
    dataset: Annotated[str, typer.Option()],
    project: Annotated[str, typer.Option()],
    purpose: Annotated[str, typer.Option()],
    valid_to: Day,
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Enter what a partner agreed to: from today to a day, questions only.

    Example: enclave agreement add a-1 --dataset hospital-stays --project cardio --purpose research --valid-to 2027-12-31 --as steward-a
    """
    signed = sign_in(by, password_file)
    owner = signed.stores.agreements.dataset(dataset).partner
    agreed = Agreement(
        name,
        owner,
        dataset,
        project,
        purpose,
        datetime.now(UTC).date(),
        valid_to.date(),
        frozenset({Use.QUESTIONS}),
    )
    housekeeping.sign_agreement(signed.books, signed.visitor, agreed)
    show({"agreement": name}, [name], as_json=as_json)
