"""The command line of the trail: serve, verify, export, proof, keygen, witness, confirm."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from audit.checkpoint import COSIGNATURE, ML_DSA_44, Verifier, create_key, load_signer, read_vkey
from audit.completeness import Anomaly
from audit.confirm import Confirmation, read_partner
from audit.confirm import confirm as confirm_trail
from audit.confirmations import Trusted
from audit.details_store import open_details_key
from audit.errors import EXIT_CODE, AuditError, BadInput
from audit.export import export as export_trail
from audit.projection import NAMES, project
from audit.proof import check_proof
from audit.report import SHOWN, Report
from audit.second_signature import open_second
from audit.statement import read_statement
from audit.timestamp import read_roots
from audit.verify import verify as verify_trail

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
    *,
    second_signature: Annotated[
        bool, typer.Option("--second-signature", help="Sign published checkpoints with ML-DSA-44 too.")
    ] = False,
) -> None:
    """Run the recorder; its keys, and `details.key` beside them, are made on the first start."""
    from audit import recorder

    with _telling():
        passphrase = _passphrase(passphrase_file)
        if not key_file.exists():
            create_key(key_file, passphrase)
        details_key = open_details_key(directory, key_file, passphrase)
        second = open_second(key_file, passphrase, origin) if second_signature else None
        signer = load_signer(key_file, passphrase, origin)
        recorder.serve(directory, signer, socket, details_key=details_key, second=second)


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


@app.command(
    epilog="Example: python -m audit verify trail --vkey trail.vkey --since checkpoint-of-last-month",
)
def verify(
    directory: Annotated[Path, typer.Argument(help="The trail's folder, or an export of it.")],
    vkey: Annotated[
        str | None, typer.Option(help="The verifier key you were given, or a file with it.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="A checkpoint you kept; the trail must continue it.")
    ] = None,
    witness_key: Annotated[
        list[str] | None, typer.Option(help="A witness's key, or a file with it; may be given several times.")
    ] = None,
    quorum: Annotated[
        int | None, typer.Option(help="How many witnesses must agree; all, if not said.")
    ] = None,
    stamp_root: Annotated[
        Path | None, typer.Option(help="PEM certificates that the time stamps must lead to.")
    ] = None,
    second_key: Annotated[
        str | None, typer.Option(help="The log's ML-DSA-44 key, or a file with it: it must have signed too.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="What the house says its books hold (`enclave audit reconcile`).")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Verify a trail offline: 0 whole and complete, 1 whole with anomalies, 5 tampered."""
    with _telling():
        trusted = replace(_trusted(witness_key or [], quorum, stamp_root), second=_second(second_key))
        kept = None if since is None else _text(since)
        books = None if against is None else read_statement(_text(against).encode())
        report = verify_trail(directory, _key_text(vkey), kept, trusted, books)
    _print(report.as_json(), _report_text(report), as_json=as_json)
    raise typer.Exit(report.exit_code)


@app.command(epilog="Example: python -m audit export trail export-of-november")
def export(
    directory: Annotated[Path, typer.Argument(help="The trail's folder; its recorder may be running.")],
    out: Annotated[Path, typer.Argument(help="A new folder, or a new file with --format.")],
    form: Annotated[
        str | None,
        typer.Option("--format", help=f"A projection for reading, no evidence: {', '.join(NAMES)}."),
    ] = None,
    request: Annotated[str | None, typer.Option(help="The release request of a PROV document.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Copy tiles, checkpoint and key for an auditor, and verify the copy; ends as `verify` does."""
    with _telling():
        if form is not None:
            report = project(directory, out, form, request)
        else:
            export_trail(directory, out)
            report = verify_trail(out)
    _print(report.as_json(), f"Exported to {out}\n{_report_text(report)}", as_json=as_json)
    raise typer.Exit(report.exit_code)


@app.command(epilog="Example: python -m audit proof release.tlog-proof --vkey trail.vkey")
def proof(
    file: Annotated[Path, typer.Argument(help="A .tlog-proof file.")],
    vkey: Annotated[str, typer.Option(help="The verifier key of the trail, or a file with it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a proof of inclusion offline and print the event it proves; 5 when it does not hold."""
    with _telling():
        proven = check_proof(_text(file), read_vkey(_key_text(vkey) or ""))
    event = proven.entry.decode(errors="replace")
    told = {"index": proven.index, "size": proven.checkpoint.size, "event": event}
    _print(
        told,
        f"Entry {proven.index} of {proven.checkpoint.size} in {proven.checkpoint.origin}:\n{event}",
        as_json=as_json,
    )


@app.command(
    epilog="Example: python -m audit witness --dir seen --name witness.partner.example/w1 --key-file w1.pem "
    "--passphrase-file w1.pass --log-key trail.vkey"
)
def witness(
    directory: Annotated[Path, typer.Option("--dir", help="Where it keeps what it has seen.")],
    name: Annotated[str, typer.Option(help="The witness's name, such as witness.partner.example/w1.")],
    key_file: Annotated[Path, typer.Option(help="The witness's own Ed25519 key; made on the first start.")],
    passphrase_file: PassphraseOption,
    log_key: Annotated[list[str], typer.Option(help="A log's verifier key, or a file with it.")],
    host: Annotated[str, typer.Option(help="The address to answer on; TLS is for a proxy.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to answer on.")] = 8890,
) -> None:
    """Run a witness, on a machine of somebody else: it cosigns what continues what it has seen."""
    from audit.witness import Witness
    from audit.witness import serve as serve_witness

    with _telling():
        passphrase = _passphrase(passphrase_file)
        logs = [read_vkey(_key_text(each) or "") for each in log_key]
        if not key_file.exists():
            create_key(key_file, passphrase)
        with closing(Witness(directory, load_signer(key_file, passphrase, name), logs)) as opened:
            sys.stdout.write(f"{opened.key.vkey()}\n")
            sys.stdout.flush()
            serve_witness(opened, host, port)


@app.command(
    epilog="Example: python -m audit confirm trail --witness 'VKEY https://witness.partner.example' "
    "--stamp https://tsa.example/tsr"
)
def confirm(
    directory: Annotated[Path, typer.Argument(help="The trail's folder; its recorder may be running.")],
    witness: Annotated[  # the option's own word; the command of that name is another thing
        list[str] | None, typer.Option(help="`VKEY URL` of a witness; may be given several times.")
    ] = None,
    stamp: Annotated[str | None, typer.Option(help="Address of an RFC 3161 time-stamping authority.")] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Go on for ever, with so many seconds between.")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Have the checkpoint confirmed: 0 by all, 4 when somebody did not answer, 5 when a witness saw another log."""
    with _telling():
        partners = [read_partner(each) for each in witness or []]
        while True:
            done = confirm_trail(directory, partners, stamp)
            _print(_told(done), _confirmation_text(done), as_json=as_json)
            sys.stdout.flush()
            if every is None:
                break
            time.sleep(every)
    if done.refusals:
        _fail(done.refusals[0])


def _told(done: Confirmation) -> dict[str, Any]:
    refusals = [each.as_json()["error"] for each in done.refusals]
    return {"size": done.size, "witnesses": done.witnesses, "stamped": done.stamped, "refusals": refusals}


def _confirmation_text(done: Confirmation) -> str:
    by = ", ".join(done.witnesses) or "no witness"
    stamped = " and a time stamp" if done.stamped else ""
    return "\n".join(
        [f"{done.size} entries: {by}{stamped}", *(f"    {each.message}" for each in done.refusals)]
    )


def _trusted(keys: list[str], quorum: int | None, roots: Path | None) -> Trusted:
    witnesses = tuple(read_vkey(_key_text(each) or "", COSIGNATURE) for each in keys)
    return Trusted(witnesses, quorum, () if roots is None else read_roots(_text(roots).encode()))


def _second(vkey: str | None) -> Verifier | None:
    return None if vkey is None else read_vkey(_key_text(vkey) or "", ML_DSA_44)


def _key_text(vkey: str | None) -> str | None:
    """Take a key as given, or from the file it names."""
    return _text(Path(vkey)) if vkey and Path(vkey).is_file() else vkey


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BadInput("not_readable", f"cannot read {path} as text") from None


def _report_text(report: Report) -> str:
    steps = [f"{step.number:2}. {step.name:<11} {step.verdict:<8} {step.words}" for step in report.steps]
    anomalies = [_anomaly_text(each) for each in report.anomalies[:SHOWN]]
    first = "" if report.first_broken_index is None else f"; first broken index {report.first_broken_index}"
    completeness = {True: "complete", False: "anomalies", None: "not judged"}[report.completeness]
    verdicts = [
        f"Integrity: {'whole' if report.integrity else 'TAMPERED'}{first}",
        f"Completeness: {completeness}, {report.interrupted} interrupted",
    ]
    return "\n".join([*steps, *anomalies, *verdicts])


def _anomaly_text(anomaly: Anomaly) -> str:
    place = f"at {anomaly.index}: " if anomaly.index >= 0 else ""
    return f"    {place}{anomaly.words} ({anomaly.code})"


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
