"""`enclave budget`: what is left of each cap; for stewards, what was spent, and setting caps."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer
from rich.markup import escape

from anonymisation import ledger_words
from anonymisation.ledger import Scope
from enclave.commands.console import Api, As, Json, PasswordFile, language, show, sign_in
from enclave.commands.spending_bars import bars, by_month
from enclave.errors import BadInput
from enclave.journeys import caps
from enclave.wiring import EngineCaps

MICRO = 1_000_000

budget = typer.Typer(
    help="What may still be asked, what was spent, and the caps.", invoke_without_command=True
)

Population = Annotated[str, typer.Option(help="The population whose people are protected.")]


@budget.callback()
def left(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="The project you ask in.")] = None,
    by: Annotated[str | None, typer.Option("--as", metavar="PERSON", help="Who you are.")] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what is left of each cap, what was spent each month, what the cap means, and what remains once it is spent.

    Example: enclave budget --project cardio --as researcher-a
    """
    if context.invoked_subcommand is not None:
        return
    if project is None or by is None:
        raise BadInput("budget_of_whom", "Say which project, and who you are.", "Give --project and --as.")
    told = Api(by, project, password_file).call("GET", "/budget")
    show(told, _told_budget(told), as_json=as_json)


@budget.command("set")
def set_cap(
    population: Population,
    rho: Annotated[str, typer.Option(help="The cap, such as 0.5.")],
    by: As,
    project: Annotated[str | None, typer.Option(help="Cap this project's share.")] = None,
    person: Annotated[str | None, typer.Option(help="Cap this person's share.")] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Set a cap, recorded. Raising a population's own takes a senior steward; what was spent stays spent.

    Example: enclave budget set --population hospital-patients --project cardio --rho 0.5 --as steward-a
    """
    if project is not None and person is not None:
        raise BadInput("cap_of_two", "A cap is a project's or a person's.", "Set them one after the other.")
    scope: Scope = "project" if project is not None else "person" if person is not None else "population"
    cap = caps.NewCap(scope, population, project or person or "", _micro(rho))
    signed = sign_in(by, password_file)
    told = caps.change(EngineCaps(signed.settings), signed.visitor, cap)
    show(told, [f"{scope} {cap.own or population}: {rho} rho", told["means"][language()]], as_json=as_json)


@budget.command("reenter")
def reenter(by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Enter again, from the trail, what a ledger put back from a backup lacks; until then nothing is answered.

    Example: enclave budget reenter --as senior-steward-a
    """
    signed = sign_in(by, password_file)
    entered = caps.reenter(EngineCaps(signed.settings), signed.visitor)
    show({"entered": entered}, [f"{entered} charges and caps entered again"], as_json=as_json)


@budget.command("history")
def history(
    population: Population, by: As, password_file: PasswordFile = None, *, as_json: Json = False
) -> None:
    """List every cap set on a population, what each project spent each month, and every charge, oldest first.

    Example: enclave budget history --population hospital-patients --as steward-a
    """
    signed = sign_in(by, password_file)
    told = caps.seen(EngineCaps(signed.settings), signed.visitor, population)
    show(told, _told_history(told), as_json=as_json)


@budget.command("recommend")
def recommend(*, as_json: Json = False) -> None:
    """Say which caps to begin a dataset with, what they mean, and what remains possible once they are spent.

    Example: enclave budget recommend
    """
    start, spoken = vars(ledger_words.RECOMMENDED), language()
    told = {
        "caps": {
            scope: {"rho_micro": rho, "means": ledger_words.meaning(rho)} for scope, rho in start.items()
        },
        "once_spent": ledger_words.remains(),
    }
    lines = [
        f"{scope:<12} {_rho(rho)} rho  {ledger_words.meaning(rho)[spoken]}" for scope, rho in start.items()
    ]
    show(told, [*lines, ledger_words.remains()[spoken]], as_json=as_json)


def _micro(rho: str) -> int:
    try:
        return int(Decimal(rho) * MICRO)
    except (InvalidOperation, ValueError, OverflowError):
        raise BadInput("cap_amount", "The cap is not a number.", "Write it like 0.5.") from None


def _rho(micro: int | None) -> str:
    return "-" if micro is None else f"{micro / MICRO:.6f}"


def _told_history(told: dict[str, Any]) -> list[str]:
    lines = [f"{told['population']}: {_rho(told['spent'])} of {_rho(told['cap'])} rho spent"]
    lines += [
        f"  {one['at'][:16]}  cap {one['scope']} {one['own']}: {_rho(one['rho_micro'])} rho"
        for one in told["caps"]
    ]
    lines += bars(by_month((one["project"], one["at"], one["rho_micro"]) for one in told["charges"]))
    return lines + [
        f"  {one['at'][:16]}  {one['project']} {one['person']} {one['dataset']} v{one['version']}: "
        f"{_rho(one['rho_micro'])} rho{'' if one['answered'] else ' (no answer)'}"
        for one in told["charges"]
    ]


def _told_budget(told: dict[str, Any]) -> list[str]:
    lines = []
    for sheet in told["populations"]:
        lines.append(f"[bold]{escape(sheet['population']['name'])}[/]")
        for scope in ("population", "project", "person"):
            share = sheet[scope]
            lines.append(
                f"{scope:<12} {_rho(share['left_rho_micro'])} of {_rho(share['cap_rho_micro'])} rho left"
            )
        spent = ((sheet["project"]["name"], one["when"], one["rho_micro"]) for one in sheet["charges"])
        lines += [
            *bars(by_month(spent)),
            escape(sheet["means"][language()]),
            escape(sheet["once_spent"][language()]),
        ]
        lines += [
            f"  not covered by this loss: {one['kind']} {escape(one['what'])}" for one in sheet["outside"]
        ]
    return lines or ["No dataset may be asked in this project."]
