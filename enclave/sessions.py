"""Notebook sessions: the folders and the data socket of one person in one project, and their trace in the trail.

The socket is the identity: it is bound into that person's sandbox for that project and nowhere else, so a kernel
holds no token. A session's number follows from person and project, so that a restarted service finds every open
session again from `house.db` and the folders that are there.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from enclave.errors import EnclaveError, NotFound
from enclave.recording import Actor, EventObject, Recorded, Recorder
from enclave.settings import Settings

SESSION_DIGITS: Final = 10
DATA_SOCKET: Final = "data.sock"
EXAMPLES: Final = "exemples"
HUB: Final = Actor("hub", "service", "none")


@dataclass(frozen=True)
class Holder:
    """Whose session it is."""

    person: str
    project: str


def session_of(holder: Holder) -> str:
    """Give the ten hex digits of a person's session in a project."""
    return hashlib.sha256(f"{holder.person}|{holder.project}".encode()).hexdigest()[:SESSION_DIGITS]


def new_workspace(folder: Path, examples: Path) -> None:
    """Make a workspace with a copy of the worked notebooks in it; one that is there is left as it is.

    It appears whole or not at all, beside a name that no sandbox can reach: what a kernel left in a workspace (a link,
    say) is never written through.
    """
    if folder.exists():
        return
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    making = Path(mkdtemp(prefix=".new-", dir=folder.parent))
    (making / EXAMPLES).mkdir(mode=0o700)
    for notebook in sorted(examples.glob("*.ipynb")):
        copy = making / EXAMPLES / notebook.name
        copy.write_bytes(notebook.read_bytes())
        copy.chmod(0o600)
    try:
        making.rename(folder)
    except OSError:  # another opening of the same session was first
        shutil.rmtree(making)
        if not folder.is_dir():
            raise


@dataclass
class Sessions:
    """The open sessions of this service; `listen` and `hang_up` open and close a data socket."""

    settings: Settings
    recorder: Recorder
    listen: Callable[[Path], None]
    hang_up: Callable[[Path], None]
    _holders: dict[str, Holder] = field(default_factory=dict)
    _starting: dict[str, Recorded] = field(default_factory=dict)

    def open(self, holder: Holder) -> str:
        """Record that a notebook is about to start, lay out its folders and open its socket.

        Raises `ComponentDown` when the trail cannot take it; then nothing was made.
        """
        session = session_of(holder)
        self._starting[session] = self.recorder.intent(
            "session.spawn",
            actor=Actor(holder.person, "person", "researcher", session),
            objects=[EventObject("session", session)],
            project=holder.project,
        )
        self._holders[session] = holder
        for folder in (self.folder(session) / "nb", self.folder(session) / "data"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new_workspace(self.workspace(holder), self.settings.notebook.code / "examples")
        self.listen(self.socket(session))
        return session

    def started(self, session: str, *, ok: bool) -> None:
        """Close the intent with what happened."""
        self.holder(session)
        receipt = self._starting.pop(session, None)
        if receipt is not None:
            self.recorder.outcome(receipt, "success" if ok else "failed")

    def close(self, session: str) -> None:
        """Take the socket away at once; the trace is written if the trail answers, and never waited for."""
        holder = self.holder(session)
        self.hang_up(self.socket(session))
        shutil.rmtree(self.folder(session), ignore_errors=True)
        self._holders.pop(session, None)
        with suppress(EnclaveError):
            self.started(session, ok=False) if session in self._starting else None
        with suppress(EnclaveError):
            actor = Actor(holder.person, "person", "researcher", session)
            objects = [EventObject("session", session)]
            self.recorder.single("session.stop", actor=actor, objects=objects, project=holder.project)

    def is_open(self, session: str) -> bool:
        """Say whether a notebook of this session runs."""
        return session in self._holders

    def holder(self, session: str) -> Holder:
        """Say whose session it is; raises `NotFound` for one that is not open."""
        holder = self._holders.get(session)
        if holder is None:
            raise NotFound(
                "no_such_session", "There is no such notebook session.", "Open the notebook again."
            )
        return holder

    def reopen(self, possible: Iterable[Holder]) -> int:
        """Open again the sockets of sessions whose folder is still there, after a restart; gives how many."""
        found = {session_of(holder): holder for holder in possible}
        for folder in sorted((self.settings.run / "n").glob("*")):
            if folder.name in found:
                self._holders[folder.name] = found[folder.name]
                self.listen(self.socket(folder.name))
            else:
                shutil.rmtree(folder, ignore_errors=True)
        return len(self._holders)

    def folder(self, session: str) -> Path:
        """The session's folder in the run folder."""
        return self.settings.run / "n" / session

    def socket(self, session: str) -> Path:
        """The session's data socket; the sandbox gets its folder."""
        return self.folder(session) / "data" / DATA_SOCKET

    def workspace(self, holder: Holder) -> Path:
        """Where the person's notebooks of this project are kept."""
        return self.settings.state / "workspaces" / holder.person / holder.project
