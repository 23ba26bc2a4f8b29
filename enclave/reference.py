"""Writes the pages that are generated from code, so that `just docs` renews them and a test compares them."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from typer.testing import CliRunner

from anonymisation.form import Question
from audit.event import json_schema
from enclave.__main__ import app
from enclave.release.states import page

COLUMNS = 100


def pages() -> dict[str, str]:
    """Give every generated page by its path below `docs/`."""
    return {
        "release-states.md": page(),
        "schemas/question-v1.json": _json(Question.model_json_schema()),
        "schemas/event-v1.json": _json(json_schema()),
        "commands.md": _commands(),
    }


def _json(schema: object) -> str:
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _commands() -> str:
    lines = ["# Commands", "", "What `--help` says; renewed by `just docs`.", ""]
    for words in _walk((), app):
        asked = CliRunner().invoke(
            app, [*words, "--help"], prog_name="enclave", env={"COLUMNS": str(COLUMNS)}
        )
        lines += [f"## {' '.join(('enclave', *words))}", "", "```text", asked.stdout.strip(), "```", ""]
    return "\n".join(lines)


def _walk(words: tuple[str, ...], group: typer.Typer) -> Iterator[tuple[str, ...]]:
    """Give the words of every command, in alphabetical order."""
    found = [(*words, one.name or _dashed(one.callback)) for one in group.registered_commands]
    for one in group.registered_groups:
        if one.typer_instance is not None:
            found += _walk((*words, str(one.name)), one.typer_instance)
    yield from sorted(found)


def _dashed(callback: Callable[..., object] | None) -> str:
    return getattr(callback, "__name__", "").replace("_", "-")


def main() -> None:
    """Write the pages below the folder given."""
    folder = Path(sys.argv[1])
    for path, text in pages().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


if __name__ == "__main__":
    main()
