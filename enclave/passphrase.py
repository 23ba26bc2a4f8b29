"""How a process comes to the passphrase of the house's keys: from a file, from a person at the terminal, or from systemd.

Never from an argument or a variable. What a person typed is written to no disk: children that open keys inherit a
descriptor of sealed memory, and no other process of the house does.
"""

import fcntl
import os
import warnings
from dataclasses import dataclass
from functools import cache
from getpass import GetPassWarning, getpass
from pathlib import Path
from typing import Final

from enclave import messages
from enclave.errors import BadInput, ComponentDown, Refused
from enclave.settings import FROM_FILE, Settings
from vault.keyring import MIN_PASSPHRASE, check_passphrase
from vault.sealed_file import open_sealed_file

# systemd.exec(5), "Credentials": the folder a unit finds its own in, and the name ours has there.
CREDENTIALS_FOLDER: Final = "CREDENTIALS_DIRECTORY"
CREDENTIAL: Final = "enclave-passphrase"
TERMINAL: Final = "/dev/tty"
MADE_BYTES: Final = 32
SECRET_MODE: Final = 0o600
OTHERS_BITS: Final = 0o077
# systemd lays a credential down 0400 for root, and lets the unit's user read it by an access list, whose mask stat
# shows as the group's bits (systemd issue 29435).
BEYOND_SYSTEMD_BITS: Final = 0o337
ROOT: Final = 0
SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def known_passphrase(settings: Settings) -> bytes:
    """Give the passphrase the keys are sealed under; a person is asked once a process.

    Raises `ComponentDown` where file or credential is missing, `Refused` where others can read it or no terminal is there.
    """
    source = settings.keys.passphrase_from
    if source == "prompt":
        return _asked(settings.state)
    return _in_credential() if source == "credential" else _in_file(settings.passphrase_file)


def first_passphrase(settings: Settings) -> bytes:
    """Give the passphrase of a house that has no key yet: made into its file, chosen at the terminal, or systemd's."""
    source = settings.keys.passphrase_from
    if source == "prompt":
        return chosen_passphrase("passphrase.first")
    if source == FROM_FILE and not settings.passphrase_file.exists():
        _write_secret(settings.passphrase_file, os.urandom(MADE_BYTES).hex().encode())
    return known_passphrase(settings)


def chosen_passphrase(words: str = "passphrase.new") -> bytes:
    """Have a new passphrase typed twice at the terminal.

    Raises what `vault` raises on a short one before it is typed again, `BadInput` where the two differ.
    """
    chosen = _typed(words, least=MIN_PASSPHRASE)
    check_passphrase(chosen)
    if _typed("passphrase.again") != chosen:
        raise BadInput(
            "passphrases_differ", "The two passphrases differ; nothing was changed.", "Start again."
        )
    return chosen


def passphrase_in(content: bytes) -> bytes:
    """Give the passphrase in a file: the end of its line is no part of it, for the recorder neither."""
    return content.rstrip(b"\r\n")


def at_hand(settings: Settings) -> bool:
    """Say whether the passphrase can be read without asking a person, in this process."""
    source = settings.keys.passphrase_from
    return source == FROM_FILE or (source == "credential" and CREDENTIALS_FOLDER in os.environ)


def sealed_keys(settings: Settings) -> tuple[Path, ...]:
    """Give the files that are sealed under the passphrase, of those that are there; the keyring first."""
    return tuple(path for path in (keyring_file(settings), *trail_key_files(settings)) if path.exists())


def keyring_file(settings: Settings) -> Path:
    """Give where the local keyring lies."""
    return settings.state / "keys" / "keyring.json"


def trail_key_files(settings: Settings) -> tuple[Path, ...]:
    """Give where the recorder's keys lie: the trail's, the details', and the second signature's."""
    from audit.second_signature import second_key_file

    trail = settings.state / "keys" / "trail.key"
    return (trail, trail.with_name("details.key"), second_key_file(trail))


def check_opens(settings: Settings, passphrase: bytes) -> None:
    """Try the passphrase on everything that is sealed under it; raises `Refused`, or the vault's own, at the first it does not open."""
    from audit.checkpoint import open_key
    from audit.errors import AuditError

    for path in sealed_keys(settings):
        if path == keyring_file(settings):
            open_sealed_file(path, passphrase)
            continue
        try:
            open_key(path, passphrase)
        except AuditError:
            raise Refused(
                "passphrase_wrong",
                f"The passphrase does not open {path.name}; nothing was started.",
                "Give the one the house was last sealed under (docs/keys.md).",
                file=path.name,
            ) from None


@dataclass(frozen=True)
class HandedOver:
    """How children that open keys come to the passphrase: what they are set to, and which descriptors they inherit."""

    settings: Settings
    descriptors: tuple[int, ...] = ()


def hand_over(settings: Settings, passphrase: bytes) -> HandedOver:
    """Let children have the passphrase: its file's path, or else memory that only a descriptor leads to.

    The memory lives as long as this process, so that a child that died can be started again without asking anybody.
    """
    if settings.keys.passphrase_from == FROM_FILE:
        return HandedOver(settings)
    memory = _sealed_memory(passphrase)
    place = {"passphrase_from": FROM_FILE, "passphrase_file": Path(f"/proc/self/fd/{memory}")}
    keys = settings.keys.model_copy(update=place)
    return HandedOver(settings.model_copy(update={"keys": keys}), (memory,))


def _sealed_memory(content: bytes) -> int:
    """Give a descriptor of memory without a name, readable by this user alone and changed by nobody; closed on exec."""
    memory = os.memfd_create(CREDENTIAL, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.fchmod(memory, SECRET_MODE)
    os.write(memory, content)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, SEALS)
    return memory


def _in_file(path: Path) -> bytes:
    try:
        found, content = _looked_at(path)
    except OSError:
        raise ComponentDown(
            "keyring_locked",
            "The keyring is locked: its passphrase file cannot be read.",
            "Put the file in place (ENCLAVE_KEYS__PASSPHRASE_FILE), or run `enclave up` to make a first one.",
        ) from None
    if found.st_mode & OTHERS_BITS:
        raise Refused(
            "passphrase_open_to_others",
            "The passphrase file can be read by other users.",
            f"chmod 600 {path.name}",
        )
    if found.st_uid not in {ROOT, os.getuid()}:
        raise Refused(
            "passphrase_of_another",
            "The passphrase file belongs to another user, who can change it.",
            "Give it to the user the house runs as (chown), with mode 600.",
        )
    return content


def _in_credential() -> bytes:
    try:
        found, content = _looked_at(Path(os.environ[CREDENTIALS_FOLDER]) / CREDENTIAL)
    except (KeyError, OSError):
        raise ComponentDown(
            "credential_missing",
            f"systemd gave this process no credential {CREDENTIAL}.",
            "Load it into the unit (LoadCredentialEncrypted=), or run this command in a unit that has it (docs/keys.md).",
            name=CREDENTIAL,
        ) from None
    if not _as_systemd_lays_it(found):
        raise Refused(
            "credential_open_to_others",
            f"The credential {CREDENTIAL} can be read or changed by other users: systemd did not lay it there.",
            "Load it with LoadCredential= or LoadCredentialEncrypted= (docs/keys.md).",
            name=CREDENTIAL,
        )
    return content


def _as_systemd_lays_it(found: os.stat_result) -> bool:
    if found.st_uid == ROOT:
        return found.st_gid == ROOT and not found.st_mode & BEYOND_SYSTEMD_BITS
    return found.st_uid == os.getuid() and not found.st_mode & OTHERS_BITS


def _looked_at(path: Path) -> tuple[os.stat_result, bytes]:
    """Give how a file stands and the passphrase in it, of the same file."""
    with path.open("rb") as file:
        return os.fstat(file.fileno()), passphrase_in(file.read())


@cache
def _asked(_house: Path) -> bytes:
    return _typed("passphrase.ask")


def _typed(words: str, **params: object) -> bytes:
    """Read a line at the terminal without showing it; refused where it would show, and where nobody can be asked."""
    prompt = messages.sentence(words, messages.of_terminal(), **params)
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)
            return getpass(prompt).encode()
    except (OSError, GetPassWarning):
        raise Refused(
            "passphrase_needs_terminal",
            "The passphrase is asked for at a terminal, and there is none here.",
            "Run this at a terminal, or name another source in keys.passphrase_from (docs/keys.md).",
        ) from None
    except UnicodeError:
        raise BadInput(
            "passphrase_not_text",
            "What was typed is not text in the terminal's encoding.",
            "Set the terminal to UTF-8, and type it again.",
        ) from None


def _write_secret(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
