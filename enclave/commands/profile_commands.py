"""`enclave dataset profile`: a steward has a dataset's profile made, once, at the expense of its population's cap."""

from typing import Annotated, Any

import typer

from anonymisation.profile import RHO_MICRO
from enclave.agreements.rules import has_role
from enclave.commands.console import As, Json, PasswordFile, show, sign_in
from enclave.journeys.caps import MAY_SHARE_OUT
from enclave.journeys.profile import HOUSE
from enclave.journeys.question import describe
from enclave.local_http import LocalService
from enclave.people import Role
from enclave.wiring import ENGINE_SECONDS

MICRO = 1_000_000


def profile(
    name: Annotated[str, typer.Argument(metavar="DATASET")],
    by: As,
    rho_micro: Annotated[int, typer.Option(help="What is offered for it, in millionths of rho.")] = RHO_MICRO,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Have rows per unit and quantiles of the numbers made: noisy, charged once to the population, then free to projects.

    Example: enclave dataset profile hospital-stays --as steward-a
    """
    signed = sign_in(by, password_file)
    has_role(signed.visitor.person, MAY_SHARE_OUT)
    about = signed.stores.agreements.dataset(name)
    asked = describe(signed.visitor, HOUSE, about, "none", roles=(Role.SENIOR_STEWARD, Role.STEWARD))
    engine = LocalService("engine", signed.settings.socket("engine"), ENGINE_SECONDS)
    told = engine.call("POST", "/v1/profile/make", asked.model_dump() | {"rho_micro": rho_micro})
    show(told, _told(told["profile"]), as_json=as_json)


def _told(told: dict[str, Any]) -> list[str]:
    lines = [
        f"{told['dataset']} v{told['version']}: {told['rho_micro'] / MICRO:.6f} rho, charged to its population"
    ]
    lines += [
        f"  {one['low']}{'' if one['low'] == one['high'] else '+' if one['high'] is None else '-' + str(one['high'])} "
        f"row(s): about {one['units']} units"
        for one in told["rows_per_unit"]
        if one["clear"]
    ]
    return lines + [
        f"  {name}: " + ", ".join(f"{one['prob']} {one['value']}" for one in each)
        for name, each in told["columns"].items()
    ]
