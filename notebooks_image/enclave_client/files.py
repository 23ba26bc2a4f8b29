"""Files that ask to leave: check them, send them, follow what becomes of them."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from .door import call
from .errors import EnclaveError
from .language import say
from .show import table, table_text

# The service refuses larger bodies; saying so here saves the wait.
LARGEST_TOTAL = 16 * 1024 * 1024

PathLike = str | Path


class Checks:
    """The verdict of the automatic checks: where, which rule, how to repair."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self.verdict: str = told["verdict"]
        self.files: list[dict[str, Any]] = told["files"]

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        return {
            "pass": say(
                "Rien à redire : deux personnes devront encore relire.",
                "Nothing found: two people still review.",
            ),
            "review": say("À regarder de près par les relecteurs.", "The reviewers will look closely."),
            "fail": say(
                "Ne sortira pas ainsi : voyez les corrections.", "Will not leave like this: see the fixes."
            ),
        }[self.verdict]

    def __repr__(self) -> str:
        return "\n".join([self.words, table_text(*self._table())])

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.words)}</strong></p>{table(*self._table())}"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = [
            say("fichier", "file"),
            "verdict",
            say("où", "where"),
            say("règle", "rule"),
            say("correction", "fix"),
        ]
        keys = ("verdict", "where", "rule", "fix")
        return head, [
            [file["file"], *(str(finding.get(key) or "") for key in keys)]
            for file in self.files
            for finding in file["findings"]
        ]


class Request:
    """A release request as it stood when it was read; `.refresh()` reads it again."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self.id: str = told["id"]
        self.title: str = told["title"]
        self.status: str = told["status"]

    @property
    def words(self) -> str:
        """Where it stands, in a sentence."""
        return str(self._told["words"])

    def refresh(self) -> "Request":
        """Read its state again."""
        return request(self.id)

    def withdraw(self) -> "Request":
        """Take it back; its files do not leave."""
        return Request(call("POST", f"requests/{self.id}/withdraw"))

    def __repr__(self) -> str:
        return f"{self.title} ({self.id}): {self.words}"


class Requests(list[Request]):
    """The person's requests in this project, shown as a table."""

    def __repr__(self) -> str:
        return table_text(*self._table())

    def _repr_html_(self) -> str:
        return table(*self._table())

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = [say("titre", "title"), say("état", "state"), "id"]
        return head, [[each.title, each.words, each.id] for each in self]


def check(*paths: PathLike) -> Checks:
    """Run the checks of a release without asking for one; each call is recorded and counted per day."""
    return Checks(call("POST", "check", {"files": _read(paths)}))


def submit(*paths: PathLike, title: str, purpose: str, supporting: Sequence[PathLike] = ()) -> Request:
    """Ask for these files to leave: they are frozen as they are now, checked, then read by two people.

    `supporting` files (unrounded counts, code) help the reviewers and stay inside.
    """
    files = [*_read(paths), *(file | {"supporting": True} for file in _read(supporting, least=0))]
    made = call("POST", "requests", {"title": title, "purpose": purpose, "files": files})
    return Request(call("POST", f"requests/{made['id']}/submit"))


def requests() -> Requests:
    """List your requests in this project, newest first."""
    return Requests(Request(told) for told in call("GET", "requests")["requests"])


def request(identifier: str) -> Request:
    """Read one request."""
    return Request(call("GET", f"requests/{identifier}"))


def _read(paths: Sequence[PathLike], least: int = 1) -> list[dict[str, Any]]:
    """Read the files now: what is judged is these bytes, whatever the file becomes later."""
    files = [(Path(path).name, _bytes(Path(path))) for path in paths]
    if len(files) < least or sum(len(content) for _, content in files) > LARGEST_TOTAL:
        raise EnclaveError(
            "files_too_large" if files else "files_missing",
            say("Il faut de un fichier à 16 Mio en tout.", "One file at least, 16 MiB in all at most."),
        )
    return [{"name": name, "base64": base64.b64encode(content).decode()} for name, content in files]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise EnclaveError(
            "file_unreadable",
            say(f"« {path} » ne se lit pas.", f"'{path}' cannot be read."),
            say("Vérifiez le nom et le dossier.", "Check the name and the folder."),
        ) from problem
