"""What every command shares: saying who one is, printing for people or programs, and ending with the right code."""

import getpass
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import DatabaseError, OperationalError

from anonymisation.errors import AnonymisationError
from audit.errors import AuditError
from enclave import messages
from enclave.accounts.login import log_in
from enclave.errors import BadInput, ComponentDown, Damaged, EnclaveError, Told, exit_code
from enclave.housekeeping import Books
from enclave.local_http import LocalService
from enclave.recording import Visitor
from enclave.settings import Settings, read_settings
from enclave.wiring import Stores, open_stores, recorder
from vault.errors import VaultError

SERVICE_SECONDS = 300.0
# Unicode's control, format, surrogate and private letters, and its line ends; the narrow spaces of French are none of them
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
HIDDEN = "\ufffd"
ERRORS = (EnclaveError, AnonymisationError, AuditError, VaultError)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
As = Annotated[str, typer.Option("--as", metavar="PERSON", help="Who you are.")]
PasswordFile = Annotated[
    Path | None, typer.Option(help="Read the password from this file instead of asking for it.", exists=True)
]


def language() -> messages.Language:
    """Speak French where the terminal does, else English."""
    return messages.of_terminal()


def show(result: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result for a program, or in words."""
    if as_json:
        sys.stdout.write(orjson.dumps(dict(result), default=str).decode() + "\n")
        return
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for line in lines:
        console.print("\n".join(map(harmless, line.split("\n"))))


def tell_error(error: Told, *, as_json: bool) -> int:
    """Print an error on stderr; gives the code to end with."""
    told = {name: harmless(text) for name, text in messages.error(error, language()).items()}
    if as_json:
        sys.stderr.write(orjson.dumps({"error": told}).decode() + "\n")
    else:
        Console(stderr=True, highlight=False, emoji=False).print(
            f"[bold red]✗[/] {escape(told['message'])}", f"  {escape(told['to_do'])}", sep="\n"
        )
    return exit_code(error)


def harmless(text: str) -> str:
    """Give a text without what a terminal obeys or hides: a file's name and a column's are a partner's to choose."""
    return "".join(HIDDEN if unicodedata.category(letter) in UNSEEN else letter for letter in text)


def of_machine(error: OSError | DatabaseError) -> EnclaveError:
    """Give what the machine or the database says as an error of the house: no row, no trace."""
    if isinstance(error, DatabaseError) and not isinstance(error, OperationalError):
        return Damaged("house_damaged", "house.db cannot be read as a database.", "Restore it from a backup.")
    reason = (error.strerror if isinstance(error, OSError) else str(error.orig)) or type(error).__name__
    return ComponentDown(
        "machine_refuses",
        f"The machine refuses: {reason}.",
        "Look at the space left on the disk and at the rights of the state folder, then do it again.",
        reason=reason,
    )


@dataclass(frozen=True)
class Signed:
    """A person at the command line, recognised by their password, with the house's books open."""

    settings: Settings
    stores: Stores
    books: Books
    visitor: Visitor


def books(settings: Settings, stores: Stores) -> Books:
    """Open the books for the command line."""
    return Books(stores.accounts, stores.agreements, recorder(settings, "command-line"))


def sign_in(person: str, password_file: Path | None) -> Signed:
    """Recognise a person; recorded like any login."""
    settings = read_settings()
    stores = open_stores(settings)
    opened = books(settings, stores)
    password = read_password(person, password_file)
    known = log_in(
        person, password, accounts=stores.accounts, recorder=opened.recorder, now=lambda: datetime.now(UTC)
    )
    return Signed(settings, stores, opened, Visitor(known))


def read_password(person: str, password_file: Path | None) -> str:
    """Read a password from a file or from the keyboard, never from an argument or a variable."""
    if password_file is not None:
        return password_file.read_text().rstrip("\n")
    if not sys.stdin.isatty():
        raise BadInput("password_missing", "No password was given.", "Use --password-file, or a terminal.")
    return getpass.getpass(f"{person}: ")


class Api:
    """The notebook's API, reached by a script with a name and a password."""

    def __init__(self, person: str, project: str, password_file: Path | None) -> None:
        settings = read_settings()
        self._service = LocalService("service", settings.socket("house"), SERVICE_SECONDS)
        self._options = {
            "auth": httpx.BasicAuth(person, read_password(person, password_file)),
            "headers": {"X-Enclave-Project": project, "Accept-Language": language()},
        }

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask the service."""
        return self._service.call(method, f"/api/v1{path}", body, **self._options)


def plain(value: Any) -> dict[str, Any]:
    """Give a frozen value as plain JSON."""
    return asdict(value)
