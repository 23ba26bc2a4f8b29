"""`enclave key` and `enclave dataset shred`: keys wrapped anew, copied, destroyed."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from audit import key_file
from audit.second_signature import second_key_file
from enclave.commands.console import As, Json, PasswordFile, Signed, plain, show, sign_in
from enclave.commands.dataset_commands import one_intake
from enclave.errors import BadInput, Refused
from enclave.journeys import keys as journey
from enclave.journeys.keys import Attestation
from enclave.recording import EventObject, recorded
from enclave.settings import Settings
from enclave.wiring import key_tools, passphrase
from vault.errors import VaultRefused
from vault.keyring import change_keyring_passphrase, open_keyring
from vault.keys import Rights

key = typer.Typer(help="Keys: rotate, back up, destroy.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="BACKUP", help="An id: small letters, digits, hyphens.")]
DatasetId = Annotated[str, typer.Argument(metavar="DATASET")]


@key.command("rotate")
def rotate(
    by: As,
    password_file: PasswordFile = None,
    *,
    retire: Annotated[
        bool,
        typer.Option("--retire", help="Destroy the old key versions afterwards: older backups stay shut."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Wrap the keys of every dataset anew; no data file is touched.

    Example: enclave key rotate --as operator-a
    """
    signed = sign_in(by, password_file)
    with one_intake(signed.settings):
        done = journey.rotate(key_tools(signed.settings, signed.stores), signed.visitor, retire=retire)
    told = [{"dataset": one, "version": version, "manifest_sha256": sha256} for one, version, sha256 in done]
    lines = [f"{one} v{version}  manifest {sha256}" for one, version, sha256 in done]
    show({"rotated": told, "retired": retire}, lines or ["no dataset yet"], as_json=as_json)


@key.command("backup")
def backup(
    name: Name,
    by: As,
    password_file: PasswordFile = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Destroyed by itself after this day.")
    ] = None,
    copy_to: Annotated[Path | None, typer.Option(help="Copy the sealed keyring to this new file.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Note a copy of the keys outside the house, and make it where the keys are a local keyring.

    Example: enclave key backup safe-2026-11 --copy-to /media/safe/keyring.json --as operator-a
    """
    signed = sign_in(by, password_file)
    if copy_to is not None:
        _may_copy(signed.settings, copy_to)
    tools = key_tools(signed.settings, signed.stores)
    journey.note_backup(tools, signed.visitor, name, expires.date() if expires else None)
    if copy_to is not None:
        shutil.copy2(_keyring(signed.settings), copy_to)
    show({"backup": name, "copied": copy_to is not None}, [f"{name}: noted"], as_json=as_json)


@key.command("destroyed")
def destroyed(name: Name, by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Note that a copy of the keys was destroyed. `enclave key attest` then says what is gone with it.

    Example: enclave key destroyed safe-2026-11 --as operator-a
    """
    signed = sign_in(by, password_file)
    journey.backup_destroyed(key_tools(signed.settings, signed.stores), signed.visitor, name)
    show({"backup": name, "destroyed": True}, [f"{name}: destroyed"], as_json=as_json)


@key.command("attest")
def attest(dataset: DatasetId, by: As, password_file: PasswordFile = None, *, as_json: Json = False) -> None:
    """Write into the trail whether a backup still opens what was shredded.

    Example: enclave key attest hospital-stays --as operator-a
    """
    signed = sign_in(by, password_file)
    _show(journey.attest(key_tools(signed.settings, signed.stores), signed.visitor, dataset), as_json=as_json)


@key.command("passphrase")
def change_passphrase(
    new_file: Annotated[Path, typer.Option(help="The new passphrase.", exists=True, dir_okay=False)],
    by: As,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Seal the keyring and the trail's key under another passphrase; then put it in place and start again.

    Example: enclave key passphrase --new-file /root/new-passphrase --as operator-a
    """
    signed = sign_in(by, password_file)
    new = new_file.read_bytes().strip()
    actor = journey.operator(signed.visitor)
    about = [EventObject("key", "passphrase")]
    with recorded(signed.books.recorder, "key.rotate", actor=actor, objects=about):
        _seal_under(signed, new)
    place = signed.settings.passphrase_file
    show(
        {"changed": True, "place": str(place)},
        [f"changed: put the new passphrase into {place}, then `enclave down` and `enclave up`"],
        as_json=as_json,
    )


def shred(
    dataset: DatasetId,
    confirm: Annotated[
        str, typer.Option(metavar="DATASET", help="The same id again: this cannot be undone.")
    ],
    by: As,
    version: Annotated[int | None, typer.Option(min=1, help="This version only.")] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Destroy the keys of a dataset: its data, rows put aside and stored answers are unreadable at once.

    Example: enclave dataset shred hospital-stays --confirm hospital-stays --as operator-a
    """
    if confirm != dataset:
        raise BadInput(
            "shred_not_confirmed", "The two ids differ; nothing was destroyed.", "Give the same id twice."
        )
    signed = sign_in(by, password_file)
    with one_intake(signed.settings):
        done = journey.shred(key_tools(signed.settings, signed.stores), signed.visitor, dataset, version)
    _show(done, as_json=as_json)


def _show(done: tuple[Attestation, ...], *, as_json: bool) -> None:
    told = [{**plain(one), "status": one.status} for one in done]
    lines = [f"{one.dataset} v{one.version}: {one.status} {' '.join(one.backups)}".rstrip() for one in done]
    show({"shredded": told}, lines or ["nothing was shredded"], as_json=as_json)


def _seal_under(signed: Signed, new: bytes) -> None:
    """Change every file; asked again after a crash between two of them it finishes."""
    settings, old = signed.settings, passphrase(signed.settings)
    keyring = _keyring(settings)
    if keyring.exists() and not _opens(keyring, new):
        change_keyring_passphrase(keyring, old, new)
    trail = settings.state / "keys" / "trail.key"
    second = [path for path in (second_key_file(trail),) if path.exists()]
    for path in (trail, trail.with_name("details.key"), *second):
        key_file.change_passphrase(path, old, new)


def _opens(keyring: Path, passphrase_given: bytes) -> bool:
    try:
        open_keyring(keyring, passphrase_given, Rights.PUBLISHER)
    except VaultRefused:
        return False
    return True


def _may_copy(settings: Settings, copy_to: Path) -> None:
    if settings.keys.service != "keyring":
        raise Refused(
            "keys_elsewhere",
            "The keys are in the key service, not in a file here.",
            "Take a snapshot there, and note it without --copy-to.",
        )
    if copy_to.exists():
        raise Refused(
            "backup_in_the_way",
            f"{copy_to.name} exists already and was left as it is.",
            "Choose another file.",
            file=copy_to.name,
        )


def _keyring(settings: Settings) -> Path:
    return settings.state / "keys" / "keyring.json"
