"""Notebook servers: one for each person and project, started in a sandbox once the house has recorded it."""

import asyncio
import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyterhub.spawner import Spawner, SpawnException
from traitlets import Unicode

from enclave.errors import ComponentDown, EnclaveError
from enclave.hub import sandbox, words
from enclave.hub.allowed import ID
from enclave.hub.house import House, Session, house_at

SOCKET_SECONDS = 60.0
LOOK_SECONDS = 0.05
KILL_SECONDS = 3.0
# The hub's own choice of identity provider yields to the command line only, not to a configuration file.
COMMAND = (
    f"{sandbox.VENV}/bin/python",
    *("-P", "-m", "jupyterhub.singleuser"),
    "--ServerApp.identity_provider_class=notebooks_image.enclave_server.identity.NoTokenInPage",
)


def _refusal(error: EnclaveError, otherwise: words.Words) -> SpawnException:
    """Say to the person what the house said; the hub shows it on its page."""
    told = words.HOUSE_DOWN if isinstance(error, ComponentDown) else otherwise
    status = 503 if isinstance(error, ComponentDown) else 403
    return SpawnException(str(told), reason=error.code, status_code=status)


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return False


class SandboxSpawner(Spawner):
    """A bubblewrap sandbox; the server name is the project."""

    house_socket = Unicode(config=True, help="the service's internal socket")
    hub_dir = Unicode(config=True, help="folder of the hub's own socket")
    venv = Unicode(config=True, help="notebook environment, bound read-only")
    code = Unicode(config=True, help="the notebooks_image folder, bound read-only")
    logs = Unicode(config=True, help="folder of the servers' logs")

    process: subprocess.Popen[bytes] | None = None
    session = Unicode()

    @property
    def house(self) -> House:
        """The house's internal API."""
        return house_at(self.house_socket)

    def _who(self) -> tuple[str, str]:
        person, project = str(self.user.name), str(self.name)
        if not project:
            raise SpawnException(str(words.NO_DEFAULT_SERVER), reason="no_project")
        if not ID.fullmatch(person) or not ID.fullmatch(project):
            raise SpawnException(str(words.NOT_YOURS), reason="bad_name")
        return person, project

    async def start(self) -> str:
        """Have the session recorded, start the sandbox, tell the house. Raises `SpawnException`."""
        person, project = self._who()
        session = await self._recorded_session(person, project)
        places = self._places(session)
        try:
            await self._start_in(places, person, project)
            await self.house.started(session.id, ok=True)
        except EnclaveError as error:
            await self._undo(session)
            raise _refusal(error, words.NOT_STARTED) from error
        except (OSError, TimeoutError) as error:
            await self._undo(session)
            raise SpawnException(str(words.NOT_STARTED), reason="sandbox", status_code=500) from error
        return self._connect(places.server_socket)

    async def _recorded_session(self, person: str, project: str) -> Session:
        try:
            session = await self.house.open_session(person, project)
        except EnclaveError as error:
            raise _refusal(error, words.SESSION_REFUSED) from error
        self.session = session.id
        return session

    def _places(self, session: Session) -> sandbox.Places:
        return sandbox.Places(
            nb_dir=session.nb_dir,
            data_dir=session.data_dir,
            workspace=session.workspace,
            hub_dir=Path(self.hub_dir),
            venv=Path(self.venv),
            code=Path(self.code),
        )

    async def _start_in(self, places: sandbox.Places, person: str, project: str) -> None:
        places.server_socket.unlink(missing_ok=True)
        variables = sandbox.environment(self.get_env(), self.server.base_url, person)
        log = Path(self.logs) / f"notebook-{person}-{project}.log"
        self.process = sandbox.start(places, variables, log, COMMAND)
        await self._wait_for(places.server_socket)

    async def _wait_for(self, socket: Path) -> None:
        """Wait for the server's socket. Raises `OSError` when the sandbox ends first, `TimeoutError` when late."""
        assert self.process is not None  # noqa: S101 - just started
        end = time.monotonic() + SOCKET_SECONDS
        while not _is_socket(socket):
            if self.process.poll() is not None:
                raise OSError("the sandbox ended before it served")
            if time.monotonic() > end:
                raise TimeoutError
            await asyncio.sleep(LOOK_SECONDS)

    async def _undo(self, session: Session) -> None:
        await self._end_process()
        try:
            await self.house.started(session.id, ok=False)
        except EnclaveError as error:
            self.log.warning("session %s: its failed start is not recorded (%s)", session.id, error.code)

    def _connect(self, socket: Path) -> str:
        """Tell the hub where the server listens.

        The hub would cut a unix URL into host and port 80, so the whole address is set on the server object.
        """
        url = "http+unix://" + quote(str(socket), safe="")
        self.server.connect_url = url
        return url

    def get_state(self) -> dict[str, Any]:
        """Keep the session's id, so that a hub that starts again can close it."""
        state: dict[str, Any] = super().get_state()
        return {**state, "session": self.session} if self.session else state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.session = state.get("session", "")

    async def poll(self) -> int | None:
        """Give None while the server runs. A server of an earlier hub never does: it died with that hub."""
        return self.process.poll() if self.process is not None else 0

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the base class's signature
        """End the sandbox; never waits for the house."""
        await self._end_process()

    async def _end_process(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        sandbox.kill(process)
        end = time.monotonic() + KILL_SECONDS
        while process.poll() is None and time.monotonic() < end:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(LOOK_SECONDS)

    async def run_post_stop_hook(self) -> None:
        """Close the session, however the server came to its end; a failure is logged and nothing waits for it."""
        session, self.session = self.session, ""
        if not session:
            return
        try:
            await self.house.close_session(session)
        except EnclaveError as error:
            self.log.warning("session %s: its end is not recorded (%s)", session, error.code)


def make_private_folder(path: Path) -> Path:
    """Make a folder nobody else can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chmod(path, 0o700)  # noqa: PTH101 - it may have existed
    return path
