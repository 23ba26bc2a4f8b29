"""`enclave conformity`: what the software has to show for the rules it is asked about."""

from pathlib import Path
from typing import Annotated

import typer

from enclave.commands.console import Json, show
from enclave.conformity import as_json as json_form
from enclave.conformity import as_markdown, report, sound
from enclave.errors import EXIT_NOT_PASSED


def conformity(
    out: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="A JUnit file of a test run: pytest --junit-xml=FILE.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Report the evidence for SATRE, French and European rules. Ends with 1 when evidence is missing or a test failed.

    Example: enclave conformity --results junit.xml --out conformity.md
    """
    told = report(results)
    page = as_markdown(told)
    if out is not None:
        out.write_text(page, encoding="utf-8")
    show(json_form(told), [f"{out} written"] if out is not None else page.splitlines(), as_json=as_json)
    raise typer.Exit(0 if sound(told) else EXIT_NOT_PASSED)
