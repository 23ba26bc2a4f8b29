"""The command line of the trail: serve, verify, export, proof, keygen."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from audit.checkpoint import create_key, load_signer
from audit.errors import EXIT_CODE, AuditError, BadInput

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The trail: record, verify and export a signed transparency log.",
)

OriginOption = Annotated[str, typer.Option(help="The log's name, such as enclave.example/trail.")]
KeyOption = Annotated[Path, typer.Option(help="The log's Ed25519 key, encrypted PKCS#8.")]
PassphraseOption = Annotated[Path, typer.Option(help="A file with the key's passphrase.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command(
    epilog="Example: python -m audit serve --dir trail --socket run/recorder.sock "
    "--origin enclave.example/trail --key-file keys/trail.pem --passphrase-file keys/trail.pass"
)
def serve(
    directory: Annotated[Path, typer.Option("--dir", help="The trail's folder.")],
    socket: Annotated[Path, typer.Option(help="The unix socket to answer on.")],
    origin: OriginOption,
    key_file: KeyOption,
    passphrase_file: PassphraseOption,
) -> None:
    """Run the recorder; the key is made on the first start."""
    from audit import recorder

    with _telling():
        passphrase = _passphrase(passphrase_file)
        if not key_file.exists():
            create_key(key_file, passphrase)
        recorder.serve(directory, load_signer(key_file, passphrase, origin), socket)


@app.command(
    epilog="Example: python -m audit keygen --key-file trail.pem --passphrase-file trail.pass "
    "--origin enclave.example/trail"
)
def keygen(
    key_file: KeyOption,
    passphrase_file: PassphraseOption,
    origin: OriginOption,
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a log key and print the public verifier key."""
    with _telling():
        passphrase = _passphrase(passphrase_file)
        create_key(key_file, passphrase)
        vkey = load_signer(key_file, passphrase, origin).verifier.vkey()
    _print({"vkey": vkey}, vkey, as_json=as_json)


def _passphrase(path: Path) -> bytes:
    try:
        return path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise BadInput("no_passphrase", f"cannot read the passphrase file ({error.strerror})") from None


def _print(told: dict[str, Any], text: str, *, as_json: bool) -> None:
    sys.stdout.write((orjson.dumps(told).decode() if as_json else text) + "\n")


@contextmanager
def _telling() -> Iterator[None]:
    """End with the error on stderr as JSON and the exit code of its kind."""
    try:
        yield
    except AuditError as error:
        _fail(error)


def _fail(error: AuditError) -> NoReturn:
    sys.stderr.write(orjson.dumps(error.as_json()).decode() + "\n")
    raise typer.Exit(EXIT_CODE[error.kind])


if __name__ == "__main__":  # pragma: no cover  (run in the subprocess tests, which coverage does not see)
    app()
