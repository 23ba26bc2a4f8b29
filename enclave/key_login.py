"""How a process of the house signs in to a key service on another machine: its credentials, read from files."""

from contextlib import suppress
from pathlib import Path

from enclave.errors import ComponentDown, Refused
from enclave.settings import KeySettings
from vault.keys import Rights
from vault.openbao import AppRole, Kubernetes, Login, Server, unwrap_secret_id

POD_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
ROLE_PREFIX = "enclave-"
ROLE_ID, SECRET_ID, WRAPPED = ".role-id", ".secret-id", ".wrapped-secret-id"
# Started on demand or not at all; the doctor asks for the others.
MAY_BE_ABSENT = frozenset({"reident", "compact_identity", "compact_research", "compact_text"})
OTHERS_BITS = 0o077


def key_server(keys: KeySettings) -> Server:
    """Give the key service's place."""
    return Server(keys.address.rstrip("/"), keys.ca_file, keys.timeout_seconds)


def key_login(keys: KeySettings, server: Server, process: str) -> Login:
    """Give a process's way to sign in.

    A wrapped secret id is opened, once, and its file removed: the secret id is in this process's memory alone, and
    the next start needs a new one. Raises `ComponentDown` where a file is missing, `Refused` where others can read it.
    """
    if keys.login == "kubernetes" or keys.login_folder is None:
        return Kubernetes(f"{ROLE_PREFIX}{process}", POD_TOKEN)
    role_id = _secret(keys.login_folder / f"{process}{ROLE_ID}")
    wrapped = keys.login_folder / f"{process}{WRAPPED}"
    if not wrapped.exists():
        return AppRole(role_id, _secret(keys.login_folder / f"{process}{SECRET_ID}"))
    secret_id = unwrap_secret_id(server, _secret(wrapped))
    with suppress(OSError):  # spent in any case
        wrapped.unlink()
    return AppRole(role_id, secret_id)


def missing_logins(keys: KeySettings) -> list[str]:
    """Name the processes that have no credentials in the folder."""
    if keys.login == "kubernetes" or keys.login_folder is None:
        return []
    names = sorted({rights.name.lower() for rights in Rights} - MAY_BE_ABSENT)
    return [name for name in names if not _has_login(keys.login_folder, name)]


def _has_login(folder: Path, process: str) -> bool:
    secret = any((folder / f"{process}{kind}").exists() for kind in (SECRET_ID, WRAPPED))
    return secret and (folder / f"{process}{ROLE_ID}").exists()


def _secret(path: Path) -> str:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ComponentDown(
            "key_login_missing",
            f"The credentials {path.name} for the key service cannot be read.",
            "Put them in the folder keys.login_folder names (docs/keys.md).",
            file=path.name,
        ) from None
    if mode & OTHERS_BITS:
        raise Refused(
            "key_login_open_to_others",
            f"{path.name} can be read by other users.",
            f"chmod 600 {path.name}, and make a new secret id if somebody could have read it.",
            file=path.name,
        )
    return text
