"""`enclave ask | price`: the notebook's way of asking, for scripts."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from enclave.commands.console import Api, As, Json, PasswordFile, language, show
from enclave.errors import BadInput

QUESTION_BYTES_MAX = 64 * 1024
MICRO = 1_000_000
WHOLE_FROM = 100

Project = Annotated[str, typer.Option(help="The project you ask in.")]
QuestionFile = Annotated[
    Path, typer.Option("--file", help="The question, as JSON.", exists=True, dir_okay=False)
]


def ask(
    project: Project,
    file: QuestionFile,
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Ask a question and pay for it; asking the same again is free.

    Example: enclave ask --project cardio --file question.json --as researcher-a
    """
    answer = Api(by, project, password_file).call("POST", "/ask", {"question": _question(file)})
    show(answer, _told_answer(answer), as_json=as_json)


def price(
    project: Project,
    file: QuestionFile,
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what a question costs and how exact its answer would be, free and without opening data.

    Example: enclave price --project cardio --file question.json --as researcher-a
    """
    told = Api(by, project, password_file).call("POST", "/price", {"question": _question(file)})
    lines = [f"{_rho(told['rho_micro'])} rho (epsilon {told['epsilon']:.3g} at delta {told['delta']:.0e})"]
    lines += [f"  {one['name']}: ± {_short(one['plus_minus'])}" for one in told["accuracy"]]
    show(told, lines, as_json=as_json)


def _short(number: float) -> str:
    """Write a half-width as exactly as a person reads it: three figures, or whole units from a hundred on."""
    return f"{number:,.0f}" if abs(number) >= WHOLE_FROM else f"{number:.3g}"


def _question(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    if len(content) > QUESTION_BYTES_MAX:
        raise BadInput("question_too_large", "The question is larger than 64 kB.", "Ask for less at once.")
    try:
        question = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BadInput("question_json", "The question is not readable JSON.", "Check the file.") from None
    if not isinstance(question, dict):
        raise BadInput("question_form", "A question is one JSON object.", "See docs/questions.md.")
    return question


def _told_answer(answer: dict[str, Any]) -> list[str]:
    names = (
        [name for name in answer["rows"][0] if isinstance(answer["rows"][0][name], dict)]
        if answer["rows"]
        else []
    )
    lines = [f"[bold]{escape(answer['words'][language()])}[/]"]
    for row in answer["rows"]:
        keys = ", ".join(str(row[key]) for key in answer["by"])
        lines.append(f"  {keys:<16}" + "   ".join(f"{name} {_cell(row[name])}" for name in names))
    spent, left = answer["spent"], answer["left"]
    lines.append(
        f"{'replayed, free' if answer['replayed'] else 'spent ' + _rho(spent['rho_micro'])}; left: population "
        f"{_rho(left['population'])}, project {_rho(left['project'])}, person {_rho(left['person'])} (rho); trail {answer['index']}"
    )
    return lines


def _cell(cell: dict[str, Any]) -> str:
    if cell["value"] is None:
        return "(below the noise)"
    mark = " (below the noise)" if cell["below_noise"] else ""
    return escape(f"{cell['value']} [{cell['low']}; {cell['high']}]{mark}")


def _rho(micro: int | None) -> str:
    return "-" if micro is None else f"{micro / MICRO:.6f}"
