"""Start the house's processes in order, watch them, and stop them so that nothing is left behind.

recorder first (no receipt, no act), then engine, service and hub. A process that dies is started again;
one that keeps dying takes the house down. Each child dies with the supervisor, even when that is killed.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from enclave.errors import ComponentDown, Refused
from enclave.passphrase import HandedOver
from enclave.settings import Settings, key_environment

START_SECONDS = 60.0
STOP_SECONDS = 8.0
# A component that dies this often within the window is not mended by another start.
RESTARTS_MAX = 5
RESTART_WINDOW_SECONDS = 60.0
PR_SET_PDEATHSIG = 1  # prctl(2)
PID_FILE = "enclave.pid"


@dataclass(frozen=True)
class Component:
    """A process of the house: how it is started, and how one sees that it serves; whether it needs the passphrase."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    opens_keys: bool = False


def _serves(path: str, *, uds: Path | None = None, base: str = "http://local") -> bool:
    transport = httpx.HTTPTransport(uds=str(uds)) if uds is not None else httpx.HTTPTransport()
    try:
        with httpx.Client(transport=transport, timeout=2.0) as client:
            return client.get(base + path).is_success
    except httpx.HTTPError:
        return False


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _hub_environment(settings: Settings) -> dict[str, str]:
    return {
        "ENCLAVE_BIND": settings.bind,
        "ENCLAVE_PUBLIC_ORIGIN": settings.origin,
        "ENCLAVE_NOTEBOOK_VENV": str(settings.notebook.venv.absolute()),
        "ENCLAVE_NOTEBOOK_CODE": str(settings.notebook.code.absolute()),
        "ENCLAVE_OUTPUT_BYTES_PER_DAY": str(settings.notebook.output_bytes_per_day),
    }


def _settings_environment(settings: Settings) -> dict[str, str]:
    """Hand a child this process's settings, whatever file or variable they came from."""
    return {
        "ENCLAVE_BIND": settings.bind,
        "ENCLAVE_PUBLIC_ORIGIN": settings.public_origin,
        **key_environment(settings),
        "ENCLAVE_TRAIL__ORIGIN": settings.trail.origin,
        "ENCLAVE_TRAIL__TIMEOUT_SECONDS": str(settings.trail.timeout_seconds),
        "ENCLAVE_TRAIL__WITNESSES": json.dumps(settings.trail.witnesses),
        "ENCLAVE_TRAIL__QUORUM": str(settings.trail.quorum),
        "ENCLAVE_TRAIL__REVIEW_DAYS": str(settings.trail.review_days),
        "ENCLAVE_TRAIL__STAMP_URL": settings.trail.stamp_url,
        **_roots_environment(settings),
        "ENCLAVE_NOTEBOOK__VENV": str(settings.notebook.venv.absolute()),
        "ENCLAVE_NOTEBOOK__CODE": str(settings.notebook.code.absolute()),
    }


def _roots_environment(settings: Settings) -> dict[str, str]:
    roots = settings.trail.stamp_roots_file
    return {} if roots is None else {"ENCLAVE_TRAIL__STAMP_ROOTS_FILE": str(roots.absolute())}


def components(settings: Settings) -> tuple[Component, ...]:
    """Give the processes of the house in the order in which they start."""
    python = sys.executable
    host, port = settings.host_port
    state, own = settings.state, _settings_environment(settings)
    keyring = settings.keys.service == "keyring"
    recorder = (
        *(
            python,
            "-m",
            "audit",
            "serve",
            "--dir",
            str(state / "trail"),
            "--socket",
            str(settings.socket("recorder")),
        ),
        *("--origin", settings.trail.origin, "--key-file", str(state / "keys" / "trail.key")),
        *("--passphrase-file", str(settings.passphrase_file)),
        *(["--second-signature"] if settings.trail.second_signature else []),
    )
    confirmer = _confirmer(settings)
    hub_config = str(Path(__file__).parent / "hub" / "config.py")
    return (
        Component(
            "recorder",
            recorder,
            lambda: _serves("/v1/health", uds=settings.socket("recorder")),
            opens_keys=True,
        ),
        Component(
            "engine",
            (python, "-m", "enclave.engine"),
            lambda: _serves("/v1/health", uds=settings.socket("engine")),
            own,
            opens_keys=keyring,
        ),
        Component(
            "service",
            (python, "-m", "enclave.service"),
            lambda: _listens(settings.socket("house")),
            own,
            opens_keys=keyring,
        ),
        Component(
            "hub",
            (python, "-m", "jupyterhub", "-f", hub_config),
            lambda: _serves("/hub/login", base=f"http://{host}:{port}"),
            _hub_environment(settings),
        ),
        *((Component("confirmer", confirmer, lambda: True),) if confirmer else ()),
    )


def _confirmer(settings: Settings) -> tuple[str, ...]:
    """Give the command that asks witnesses and a time-stamping authority, or nothing where there are none."""
    trail = settings.trail
    asked = [word for each in trail.witnesses for word in ("--witness", each)]
    asked += ["--stamp", trail.stamp_url] if trail.stamp_url else []
    if not asked:
        return ()
    folder, pause = str(settings.state / "trail"), str(trail.confirm_seconds)
    return (sys.executable, "-m", "audit", "confirm", folder, "--json", "--every", pause, *asked)


def prepare_run_folder(run: Path) -> None:
    """Make the folder of the sockets, or refuse one that somebody else could have laid out.

    Raises `Refused` when it is a link, another user's, or open to others.
    """
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise Refused(
            "run_folder_unsafe",
            f"The run folder {run} is not a private folder of this user.",
            "Remove it, or choose another one with ENCLAVE_RUN.",
            folder=str(run),
        )


@contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """Hold the house's lock, so that one state folder is never served twice; raises `Refused` when it is held."""
    handle = os.open(settings.state / PID_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise Refused(
            "already_up", "The enclave already runs on this state folder.", "See `enclave status`."
        ) from None
    os.ftruncate(handle, 0)
    os.write(handle, str(os.getpid()).encode())
    try:
        yield
    finally:
        os.ftruncate(handle, 0)
        os.close(handle)


def running_pid(settings: Settings) -> int | None:
    """Give the supervisor's process id while it holds the lock, else nothing."""
    path = settings.state / PID_FILE
    if not path.exists():
        return None
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = file.read().decode()
            return int(text) if text else None
    return None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Supervisor:
    """Runs the components of one house until it is told to stop."""

    def __init__(self, handed: HandedOver, tell: Callable[[str], None]) -> None:
        self._settings = settings = handed.settings
        self._descriptors = handed.descriptors
        self._tell = tell
        self._components = components(settings)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._deaths: dict[str, list[float]] = {}
        self._stopping = False

    def ask_to_stop(self, *_: object) -> None:
        """Ask for an orderly end; safe to call from a signal handler."""
        self._stopping = True

    def start_all(self) -> None:
        """Start every component, each once the one before serves; raises `ComponentDown` naming the one that does not."""
        for component in self._components:
            if self._stopping:
                return
            self._start(component)

    def watch(self) -> None:
        """Start again what dies, until asked to stop; raises `ComponentDown` when a component keeps dying."""
        while not self._stopping:
            time.sleep(0.2)
            for component in self._components:
                if self._running[component.name].poll() is not None and not self._stopping:
                    self._restart(component)

    def stop_all(self) -> None:
        """Stop in the reverse order; what does not end in time is killed."""
        for component in reversed(self._components):
            process = self._running.pop(component.name, None)
            if process is not None:
                _end(process)

    def _start(self, component: Component) -> None:
        self._running[component.name] = self._launch(component)
        deadline = time.monotonic() + START_SECONDS
        while not component.ready():
            if self._stopping:
                return
            if self._running[component.name].poll() is not None or time.monotonic() > deadline:
                log = self._log(component.name)
                raise ComponentDown(
                    "component_did_not_start",
                    f"The {component.name} did not start.",
                    f"Read the end of {log}; run `enclave doctor`.",
                    component=component.name,
                    log=str(log),
                )
            time.sleep(0.05)
        self._tell(component.name)

    def _restart(self, component: Component) -> None:
        now = time.monotonic()
        deaths = [at for at in self._deaths.get(component.name, []) if now - at < RESTART_WINDOW_SECONDS]
        self._deaths[component.name] = [*deaths, now]
        if len(deaths) >= RESTARTS_MAX:
            raise ComponentDown(
                "component_keeps_dying",
                f"The {component.name} keeps stopping; the enclave stops too.",
                f"Read the end of {self._log(component.name)}.",
                component=component.name,
            )
        self._start(component)

    def _log(self, name: str) -> Path:
        return self._settings.state / "logs" / f"{name}.log"

    def _launch(self, component: Component) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self._settings.state),
            "PYTHONUNBUFFERED": "1",
            "ENCLAVE_STATE": str(self._settings.state),
            "ENCLAVE_RUN": str(self._settings.run),
            **component.environment,
        }
        log = os.open(self._log(component.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                component.command,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=self._descriptors if component.opens_keys else (),
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
            )
        finally:
            os.close(log)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
