"""`enclave key` and `enclave dataset shred`: keys wrapped anew, copied, destroyed."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from audit import key_file
from enclave.commands.console import As, Json, PasswordFile, plain, show, sign_in
from enclave.commands.dataset_commands import one_intake
from enclave.errors import BadInput, Refused
from enclave.journeys import keys as journey
from enclave.journeys.keys import Attestation
from enclave.passphrase import (
    CREDENTIAL,
    chosen_passphrase,
    keyring_file,
    known_passphrase,
    passphrase_in,
    sealed_keys,
)
from enclave.recording import EventObject, recorded
from enclave.settings import FROM_FILE, Settings
from enclave.wiring import key_tools
from vault.errors import VaultRefused
from vault.keyring import change_keyring_passphrase, open_keyring
from vault.keys import Rights

key = typer.Typer(help="Keys: rotate, back up, destroy.", no_args_is_help=True)

AFTERWARDS = {
    "file": "put the new passphrase into {place}, then `enclave down` and `enclave up`",
    "prompt": "`enclave down`, then `enclave up`, which asks for the new one",
    "credential": f"make the credential {CREDENTIAL} anew (docs/keys.md), then restart the unit",
}

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
        shutil.copy2(keyring_file(signed.settings), copy_to)
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
    by: As,
    new_file: Annotated[
        Path | None,
        typer.Option(help="Read the new one from this file instead of asking.", exists=True, dir_okay=False),
    ] = None,
    password_file: PasswordFile = None,
    *,
    as_json: Json = False,
) -> None:
    """Seal the keyring and the trail's keys under another passphrase; then put it in place and start again.

    Without --new-file it is typed twice at the terminal.

    Example: enclave key passphrase --new-file /root/new-passphrase --as operator-a
    """
    signed = sign_in(by, password_file)
    old = known_passphrase(signed.settings)
    new = chosen_passphrase() if new_file is None else passphrase_in(new_file.read_bytes())
    actor = journey.operator(signed.visitor)
    about = [EventObject("key", "passphrase")]
    with recorded(signed.books.recorder, "key.rotate", actor=actor, objects=about):
        _seal_under(signed.settings, old, new)
    source, place = signed.settings.keys.passphrase_from, str(signed.settings.passphrase_file)
    told = {"changed": True, "from": source, "place": place if source == FROM_FILE else None}
    show(told, [f"changed: {AFTERWARDS[source].format(place=place)}"], as_json=as_json)


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


def _seal_under(settings: Settings, old: bytes, new: bytes) -> None:
    """Change every file; asked again after a crash between two of them it finishes."""
    for path in sealed_keys(settings):
        if path != keyring_file(settings):
            key_file.change_passphrase(path, old, new)
        elif not _opens(path, new):
            change_keyring_passphrase(path, old, new)


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
