"""Start a notebook kernel in a sandbox of its own, inside the server's: argument = its connection file.

The kernel is the researcher's code. It gets the project's folder, the data socket and its own message sockets,
and nothing of the server: no environment, no open file, no process, no folder shared with anybody.
"""

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from notebooks_image.enclave_server.seccomp import UnknownMachineError, build_filter

BWRAP = "/usr/bin/bwrap"
PROJECT = Path("/project")
DATA_FOLDER = "/run/enclave"
VENV = "/opt/enclave/venv"
CODE = "/opt/enclave/code/notebooks_image"
HOME = "/home/analyst"
UID = "1000"

TMP_BYTES = 512 << 20
HOME_BYTES = 64 << 20
SHARED_MEMORY_BYTES = 256 << 20
# Counted per user namespace since Linux 5.14, so this bounds one kernel, not everybody's (setrlimit(2)).
TASKS_MAX = 1024

PASSWD = f"analyst:x:{UID}:{UID}::{HOME}:/bin/sh\n"
GROUP = f"analyst:x:{UID}:\n"
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
NAME_SERVICE = "passwd: files\ngroup: files\nhosts: files\n"
ETC = {"passwd": PASSWD, "group": GROUP, "hosts": HOSTS, "nsswitch.conf": NAME_SERVICE}

ENVIRONMENT = {
    "HOME": HOME,
    "PATH": f"{VENV}/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "Europe/Paris",
    "IPYTHONDIR": "/tmp/.ipython",  # noqa: S108 - the sandbox's own tmpfs
    "PYTHONPATH": CODE,
    "PYTHONDONTWRITEBYTECODE": "1",
    "ENCLAVE_SOCK": f"{DATA_FOLDER}/data.sock",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}


def message_folder(connection_file: Path) -> Path:
    """Give the folder of a kernel's message sockets, the only one it shares with the server."""
    return connection_file.parent / "ipc"


def in_memory(name: str, content: bytes) -> int:
    """Give a descriptor that bwrap can read `content` from."""
    descriptor = os.memfd_create(name)
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.set_inheritable(descriptor, True)
    return descriptor


def _isolation() -> list[str]:
    spaces = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--unshare-uts"]
    return [
        *spaces,
        "--unshare-cgroup-try",
        "--disable-userns",
        "--die-with-parent",
        "--new-session",
        *("--cap-drop", "ALL", "--uid", UID, "--gid", UID, "--hostname", "kernel"),
    ]


def _system() -> list[str]:
    links = [("usr/lib", "/lib"), ("usr/lib64", "/lib64"), ("usr/bin", "/bin"), ("usr/sbin", "/sbin")]
    arguments = ["--ro-bind", "/usr", "/usr", "--ro-bind", VENV, VENV]
    for target, link in links:
        arguments += ["--symlink", target, link]
    client = f"{CODE}/enclave_client"
    arguments += ["--ro-bind-try", client, client, "--proc", "/proc", "--dev", "/dev"]
    for size, place in ((SHARED_MEMORY_BYTES, "/dev/shm"), (TMP_BYTES, "/tmp"), (HOME_BYTES, HOME)):  # noqa: S108
        arguments += ["--size", str(size), "--tmpfs", place]
    for name, content in ETC.items():
        arguments += ["--ro-bind-data", str(in_memory(name, content.encode())), f"/etc/{name}"]
    return arguments


def _own_places(connection_file: Path, folder: Path) -> list[str]:
    sockets = str(message_folder(connection_file))
    return [
        *("--bind", str(PROJECT), str(PROJECT)),
        *("--ro-bind", DATA_FOLDER, DATA_FOLDER),
        *("--ro-bind", str(connection_file), str(connection_file)),
        *("--bind", sockets, sockets),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
        *("--chdir", str(folder)),
    ]


def sandbox_arguments(connection_file: Path, folder: Path, machine: str) -> list[str]:
    """Give bwrap's options for one kernel. Raises `UnknownMachineError` where no filter is known."""
    arguments = [*_isolation(), *_system(), *_own_places(connection_file, folder)]
    arguments += ["--seccomp", str(in_memory("filter", build_filter(machine))), "--clearenv"]
    for name, value in ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    return arguments


def working_folder() -> Path:
    """Give the notebook's folder, or the project's when it lies elsewhere."""
    here = Path.cwd()
    return here if here.is_relative_to(PROJECT) else PROJECT


def _forget_the_server(keep: Sequence[int]) -> None:
    """Drop every descriptor of the server: its log can be reopened through /proc/self/fd."""
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(silence, standard)
    highest = os.sysconf("SC_OPEN_MAX")
    start = 3
    for descriptor in sorted(keep):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, highest)


def _descriptors_in(arguments: Sequence[str]) -> list[int]:
    options = ("--ro-bind-data", "--seccomp")
    return [int(arguments[at + 1]) for at, argument in enumerate(arguments) if argument in options]


def launch(connection_file: Path) -> None:
    """Replace this process by the kernel's sandbox; never returns when it succeeds."""
    arguments = sandbox_arguments(connection_file, working_folder(), os.uname().machine)
    packed = in_memory("arguments", "\0".join([*arguments, ""]).encode())
    resource.setrlimit(resource.RLIMIT_NPROC, (TASKS_MAX, TASKS_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _forget_the_server([*_descriptors_in(arguments), packed])
    kernel = [f"{VENV}/bin/python", "-m", "ipykernel_launcher", "-f", str(connection_file)]
    # An empty environment: bwrap itself is process 1 in there, and its environment can be read.
    os.execve(BWRAP, [BWRAP, "--args", str(packed), "--", *kernel], {})  # noqa: S606 - no shell is wanted


def main() -> int:
    try:
        launch(Path(sys.argv[1]).absolute())
    except (UnknownMachineError, OSError) as error:
        sys.stderr.write(f"The kernel's sandbox did not start: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
