"""What this machine needs before the house may open: one line per check, with what to do.

Green is well, amber is a limit the operator should know (the demonstration runs on it), red keeps the house shut.
"""

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from enclave import messages
from enclave.errors import EnclaveError, Refused, Told
from enclave.passphrase import CREDENTIAL, at_hand, keyring_file
from enclave.settings import Settings
from enclave.supervisor import prepare_run_folder, running_pid

BWRAP: Final = "/usr/bin/bwrap"
PYTHON_MIN: Final = (3, 11)
# The seccomp filter knows the system calls of these two only.
MACHINES: Final = frozenset({"x86_64", "aarch64"})
# A trail on a full disk refuses every act; a warning comes well before.
DISK_RED_BYTES: Final = 200 << 20
DISK_AMBER_BYTES: Final = 2 << 30
PROBE_SECONDS: Final = 10.0


class Light(StrEnum):
    """How a check stands."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor: what was looked at, how it stands, what to do.

    The English stands here, where its author sees it; the French is looked up by `code`, as a refusal's is.
    """

    check: str
    light: Light
    code: str
    says: str
    to_do: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)


def _green(check: str, code: str, says: str, **params: str | int) -> Finding:
    return Finding(check, Light.GREEN, code, says, params=params)


def _amber(check: str, code: str, says: str, to_do: str, **params: str | int) -> Finding:
    return Finding(check, Light.AMBER, code, says, to_do, params)


def _red(check: str, code: str, says: str, to_do: str, **params: str | int) -> Finding:
    return Finding(check, Light.RED, code, says, to_do, params)


def _refusal(check: str, error: Told) -> Finding:
    return Finding(check, Light.RED, error.code, error.message, error.to_do, error.params)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the machine, one finding after the other."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python,
        _machine,
        _sandbox,
        _nested_sandbox,
        _run_folder,
        _state_folder,
        _disk,
        _volume,
        _keyring,
        _passphrase,
        _witness,
        _notebook,
        _port,
        _user,
        _minisign,
    )
    for check in checks:
        yield check(settings)


def spoken(finding: Finding, language: messages.Language) -> tuple[str, str, str]:
    """Give what was looked at, what was found and what to do; a refusal that was met is told as everywhere."""
    if language == "en":
        return finding.check, finding.says, finding.to_do
    french = messages.catalogue(language)
    entry = french["doctor"]["found"].get(finding.code) or french["errors"].get(finding.code)
    says, to_do = messages.filled(entry, finding.params, language) if entry else (finding.says, finding.to_do)
    return french["doctor"]["check"][finding.check], says, to_do


def refuse_on_red(findings: list[Finding]) -> None:
    """Keep the house shut while a check is red; raises `Refused` naming the first."""
    red = [finding for finding in findings if finding.light is Light.RED]
    if red:
        first = red[0]
        raise Refused(
            "doctor_red",
            f"{len(red)} check(s) are red; the first: {first.check}: {first.says}",
            first.to_do or "Run `enclave doctor`.",
            n=len(red),
            check=first.check,
        )


def _python(_: Settings) -> Finding:
    version = platform.python_version()
    if sys.version_info < PYTHON_MIN:
        return _red(
            "python", "python_old", f"Python {version}", "Install Python 3.11 or newer.", version=version
        )
    return _green("python", "python_found", f"Python {version}", version=version)


def _machine(_: Settings) -> Finding:
    machine = platform.machine()
    if machine not in MACHINES:
        return _red(
            "machine",
            "machine_unknown",
            f"no system-call filter for {machine}",
            "Use an x86_64 or aarch64 machine.",
            machine=machine,
        )
    return _green("machine", "machine_known", machine, machine=machine)


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


_ROOM: Final = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-net",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/lib",
    "/lib",
)
_ROOM_MORE: Final = (
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--symlink",
    "usr/bin",
    "/bin",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",  # noqa: S108 - inside the sandbox; bwrap lays its new root out there
)


def _sandbox(_: Settings) -> Finding:
    if not Path(BWRAP).exists():
        return _red(
            "sandbox", "no_bubblewrap", "bubblewrap is not installed", "sudo apt-get install bubblewrap"
        )
    if not _succeeds(BWRAP, *_ROOM, *_ROOM_MORE, "/usr/bin/true"):
        return _red(
            "sandbox",
            "no_namespaces",
            "this user may not make namespaces: no notebook can be closed in",
            "Allow unprivileged user namespaces (kernel.unprivileged_userns_clone=1, or a bwrap AppArmor profile).",
        )
    return _green("sandbox", "sandbox_made", "bubblewrap with user, process and network namespaces")


def _nested_sandbox(_: Settings) -> Finding:
    inner = (BWRAP, *_ROOM, "--disable-userns", *_ROOM_MORE, "/usr/bin/true")
    if not _succeeds(BWRAP, *_ROOM, *_ROOM_MORE, *inner):
        return _red(
            "kernel sandbox",
            "no_inner_sandbox",
            "a sandbox cannot be made inside a sandbox",
            "Raise user.max_user_namespaces, or use a kernel that allows nested user namespaces.",
        )
    return _green("kernel sandbox", "inner_sandbox_made", "a second sandbox inside the first")


def _run_folder(settings: Settings) -> Finding:
    try:
        prepare_run_folder(settings.run)
    except EnclaveError as error:
        return _refusal("run folder", error)
    except OSError:
        return _red(
            "run folder",
            "run_folder_not_made",
            f"{settings.run} cannot be made",
            "Choose another with ENCLAVE_RUN.",
            folder=str(settings.run),
        )
    return _green("run folder", "folder_private", str(settings.run), folder=str(settings.run))


def _state_folder(settings: Settings) -> Finding:
    folder = str(settings.state)
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = settings.state.stat()
    except OSError:
        return _red(
            "state folder",
            "state_folder_not_made",
            f"{folder} cannot be made",
            "Choose another with ENCLAVE_STATE.",
            folder=folder,
        )
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        return _red(
            "state folder",
            "state_folder_open",
            f"{folder} is not private",
            f"chmod 700 {folder}",
            folder=folder,
        )
    return _green("state folder", "folder_private", folder, folder=folder)


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.state)).free
    room = f"{free / (1 << 30):.1f}"
    says = f"{room} GiB free"
    if free < DISK_RED_BYTES:
        to_do = "Make room: with a full disk the trail refuses every act."
        return _red("disk", "disk_full", says, to_do, room=room)
    if free < DISK_AMBER_BYTES:
        return _amber("disk", "disk_filling", says, "Make room soon.", room=room)
    return _green("disk", "disk_room", says, room=room)


def _volume(settings: Settings) -> Finding:
    if _on_encrypted_volume(_existing(settings.state)):
        return _green("volume", "volume_encrypted", "on an encrypted volume")
    return _amber(
        "volume",
        "volume_plain",
        "the state folder is not on an encrypted volume: swap and temporary memory could be read from a stolen disk",
        "Put it on LUKS; data, answers and releases are encrypted in any case.",
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _on_encrypted_volume(path: Path) -> bool:
    device = path.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not block.exists():
        return False
    layers = [block.resolve(), *block.resolve().glob("slaves/*")]
    return any(_is_luks(layer) for layer in layers)


def _is_luks(layer: Path) -> bool:
    name = layer / "dm" / "uuid"
    return name.exists() and name.read_text().startswith("CRYPT-")


def _key_service(settings: Settings) -> Finding:
    """Look at a key service elsewhere without signing in: a wrapped secret id opens once and is not for a doctor."""
    from enclave.key_login import key_server, missing_logins
    from vault.errors import VaultError
    from vault.openbao import check_open

    missing = missing_logins(settings.keys)
    if missing:
        names = ", ".join(missing)
        return _red(
            "key service",
            "no_credentials",
            f"no credentials for {names}",
            "See docs/keys.md.",
            names=names,
        )
    try:
        check_open(key_server(settings.keys))
    except VaultError as error:
        return _refusal("key service", error)
    address = settings.keys.address
    return _green("key service", "key_service_open", f"{address} is unsealed", address=address)


def _keyring(settings: Settings) -> Finding:
    if settings.keys.service == "openbao":
        return _key_service(settings)
    if not keyring_file(settings).exists():
        return _green("keyring", "keyring_to_make", "none yet: `enclave up` makes one")
    if not at_hand(settings):
        return _amber(
            "keyring",
            "keyring_not_tried",
            "there, and not tried: its passphrase is not at hand here",
            "`enclave up` tries it before it starts anything.",
        )
    from enclave.wiring import open_keys
    from vault.errors import VaultError
    from vault.keys import Rights

    try:
        open_keys(settings, Rights.PUBLISHER)
    except (VaultError, EnclaveError) as error:
        return _refusal("keyring", error)
    return _green("keyring", "keyring_opens", "opens")


def _passphrase(settings: Settings) -> Finding:
    source = settings.keys.passphrase_from
    if source == "prompt":
        return _green("passphrase", "passphrase_asked", "asked of a person at each start, kept in memory")
    if source == "credential":
        says = f"the credential {CREDENTIAL} of systemd, kept in memory"
        return _green("passphrase", "passphrase_credential", says, name=CREDENTIAL)
    if _device(settings.passphrase_file) == _device(keyring_file(settings)):
        return _amber(
            "passphrase",
            "passphrase_beside",
            "a file on the disk of the keyring: whoever takes the disk takes both",
            "Have it asked for, or given by systemd (keys.passphrase_from), or name a file on another volume.",
        )
    return _green("passphrase", "passphrase_apart", "a file on another volume than the keyring")


def _device(path: Path) -> int:
    return _existing(path).stat().st_dev


def _witness(settings: Settings) -> Finding:
    if not settings.trail.witnesses:
        return _amber(
            "witness",
            "no_witness",
            "nobody outside confirms the trail: whoever holds its key could rewrite it unseen",
            "Ask a partner to run `python -m audit witness`, and name it in `trail.witnesses`.",
        )
    count = len(settings.trail.witnesses)
    return _green("witness", "witnesses", f"{count} outside", count=count)


def _notebook(settings: Settings) -> Finding:
    import importlib.metadata

    ours = importlib.metadata.version("jupyterhub")
    found = list(settings.notebook.venv.absolute().glob("lib/python3*/site-packages/jupyterhub-*.dist-info"))
    theirs = found[0].name.removeprefix("jupyterhub-").removesuffix(".dist-info") if found else "none"
    if theirs != ours:
        return _red(
            "notebook environment",
            "notebook_environment_other",
            f"jupyterhub there: {theirs}, here: {ours}",
            "Make it again from locks/notebook.txt (scripts/demo does).",
            theirs=theirs,
            ours=ours,
        )
    return _green("notebook environment", "notebook_environment_same", f"jupyterhub {theirs}", theirs=theirs)


def _port(settings: Settings) -> Finding:
    host, port = settings.host_port
    bind = settings.bind
    if running_pid(settings) is not None:
        return _green("address", "address_ours", f"{bind}: the enclave runs", bind=bind)
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError:
        return _red(
            "address", "address_taken", f"{bind} is taken", "Choose another with ENCLAVE_BIND.", bind=bind
        )
    return _green("address", "address_free", f"{bind} is free", bind=bind)


def _user(_: Settings) -> Finding:
    if os.getuid() == 0:
        return _red(
            "user", "user_root", "running as root", "Run it as an ordinary user: the sandboxes count on it."
        )
    return _amber(
        "user",
        "user_one",
        "all processes run as one user: between them the boundary that holds is the sandbox",
        "On a server give each process its own user.",
    )


def _minisign(_: Settings) -> Finding:
    if shutil.which("minisign") is None:
        return _amber(
            "minisign",
            "no_minisign",
            "not installed: packages can be made, not checked here",
            "sudo apt-get install minisign",
        )
    return _green("minisign", "minisign_here", "packages can be checked here")
