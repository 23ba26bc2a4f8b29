"""The sandbox of one notebook server: which folders it sees, under which neutral names, and how it starts.

The server is trusted code that reads hostile messages, so it gets no network, no host process, no capability and
no folder of another person. The researcher's code runs in a second sandbox inside this one (the kernel's).
"""

import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BWRAP = Path("/usr/bin/bwrap")
UID = "1000"
HOME = "/home/analyst"
VENV = "/opt/enclave/venv"
CODE = "/opt/enclave/code"
HUB_SOCKET = "/run/hub/hub.sock"
SERVER_SOCKET_NAME = "nb.sock"

TMP_BYTES = 256 << 20
HOME_BYTES = 64 << 20
RUNTIME_BYTES = 16 << 20
OPEN_FILES_MAX = 4096

PASSWD = f"analyst:x:{UID}:{UID}::{HOME}:/bin/sh\n"
GROUP = f"analyst:x:{UID}:\n"
HOSTS = "127.0.0.1 localhost\n"

# The hub's word on the server, and nothing else of the hub's environment.
FROM_HUB = (
    "JUPYTERHUB_API_TOKEN",
    "JUPYTERHUB_BASE_URL",
    "JUPYTERHUB_CLIENT_ID",
    "JUPYTERHUB_HOST",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
    "JUPYTERHUB_OAUTH_CALLBACK_URL",
    "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES",
    "JUPYTERHUB_OAUTH_SCOPES",
    "JUPYTERHUB_SERVER_NAME",
    "JUPYTERHUB_SERVICE_PREFIX",
    "JUPYTERHUB_USER",
)


@dataclass(frozen=True)
class Places:
    """Host folders that one server sees."""

    nb_dir: Path
    data_dir: Path
    workspace: Path
    hub_dir: Path
    venv: Path
    code: Path

    @property
    def server_socket(self) -> Path:
        """The socket the gateway reaches the server by."""
        return self.nb_dir / SERVER_SOCKET_NAME


def environment(from_hub: Mapping[str, str], base_url: str, person: str) -> dict[str, str]:
    """Give the server's whole environment."""
    api = "http+unix://" + HUB_SOCKET.replace("/", "%2F") + "/hub/api"
    kept = {name: from_hub[name] for name in FROM_HUB if name in from_hub}
    return kept | {
        "HOME": HOME,
        "PATH": f"{VENV}/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "Europe/Paris",
        # The project's folder is the researcher's: nothing may be imported from where one stands.
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": CODE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/{person}/activity",
        "JUPYTERHUB_ROOT_DIR": "/project",
        "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
        "JUPYTERHUB_DEFAULT_URL": "/lab",
        # The server refuses a socket together with any port but its default one.
        "JUPYTERHUB_SERVICE_URL": f"http://localhost:8888{base_url}",
        "JUPYTER_RUNTIME_DIR": "/run/rt",
        "JUPYTER_PATH": f"{CODE}/notebooks_image/jupyter",
        "JUPYTER_CONFIG_PATH": f"{CODE}/notebooks_image/jupyter/config",
    }


def _in_memory(name: str, content: str) -> int:
    descriptor = os.memfd_create(name)
    os.write(descriptor, content.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _isolation() -> list[str]:
    return [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--uid", UID, "--gid", UID, "--hostname", "notebook"),
    ]


def _folders(places: Places) -> list[str]:
    links = [("usr/lib", "/lib"), ("usr/lib64", "/lib64"), ("usr/bin", "/bin"), ("usr/sbin", "/sbin")]
    arguments = ["--ro-bind", "/usr", "/usr"]
    for target, link in links:
        arguments += ["--symlink", target, link]
    return [
        *arguments,
        *("--ro-bind", str(places.venv), VENV),
        *("--ro-bind", str(places.code), f"{CODE}/notebooks_image"),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(TMP_BYTES), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
        *("--size", str(HOME_BYTES), "--tmpfs", HOME),
        *("--size", str(RUNTIME_BYTES), "--tmpfs", "/run/rt"),
        *("--bind", str(places.workspace), "/project"),
        *("--bind", str(places.nb_dir), "/run/nb"),
        *("--ro-bind", str(places.data_dir), "/run/enclave"),
        *("--ro-bind", str(places.hub_dir), "/run/hub"),
    ]


def _small_files(descriptors: Mapping[str, int]) -> list[str]:
    arguments: list[str] = []
    for path, descriptor in descriptors.items():
        arguments += ["--ro-bind-data", str(descriptor), path]
    return arguments


def options(places: Places, variables: Mapping[str, str], descriptors: Mapping[str, int]) -> list[str]:
    """Give bwrap's options for one server; `descriptors` hold the few files of /etc."""
    arguments = [*_isolation(), *_folders(places), *_small_files(descriptors)]
    arguments += ["--remount-ro", "/", "--chdir", "/", "--clearenv"]
    for name, value in variables.items():
        arguments += ["--setenv", name, value]
    return arguments


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def start(
    places: Places, variables: Mapping[str, str], log: Path, command: Sequence[str]
) -> subprocess.Popen[bytes]:
    """Start a server in its sandbox; it dies with this process. Raises `OSError` when it cannot be started.

    The options go through a descriptor: a command line, which every user of the machine can read, would show
    the server's token.
    """
    files = {"/etc/passwd": PASSWD, "/etc/group": GROUP, "/etc/hosts": HOSTS}
    descriptors = {path: _in_memory("etc", content) for path, content in files.items()}
    packed = _in_memory("options", "\0".join([*options(places, variables, descriptors), ""]))
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(
            [str(BWRAP), "--args", str(packed), "--", *command],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(*descriptors.values(), packed),
            preexec_fn=_limits,  # noqa: PLW1509 - the hub forks in its main thread only
        )
    finally:
        for descriptor in (*descriptors.values(), packed, output):
            os.close(descriptor)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a sandbox with everything in it: process 1 of the namespace dies with bwrap, and all others with it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
