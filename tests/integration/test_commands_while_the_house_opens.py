"""A command that somebody runs while the house opens is not taken for one that a crash cut off."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audit.verify import verify
from enclave.errors import ComponentDown
from enclave.recorder_client import RecorderClient
from enclave.recording import Actor, EventObject

OPERATOR = Actor("operator-a", "person", "operator")
ABOUT = [EventObject("person", "researcher-a")]
NAME = "command-line"


@contextmanager
def serving(folder: Path) -> Iterator[RecorderClient]:
    """Run a real recorder on this folder and give a command's way to it."""
    with tempfile.TemporaryDirectory(prefix="enc-") as short:
        path = Path(short) / "r.sock"
        (folder / "pass").write_text("long random words")
        named = {
            "dir": folder / "trail",
            "socket": path,
            "origin": "a.example",
            "key-file": folder / "trail.key",
            "passphrase-file": folder / "pass",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "audit", "serve", *(f"--{name}={value}" for name, value in named.items())]
        )
        client = RecorderClient(path, NAME, 5.0)
        try:
            wait_for(client)
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def wait_for(client: RecorderClient) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.health()
        except ComponentDown:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_only_intents_from_before_the_recorders_start_are_closed_as_interrupted(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.intent("admin.person", actor=OPERATOR, objects=ABOUT)  # this command is killed here
    with serving(tmp_path) as client:
        running = client.intent("admin.role", actor=OPERATOR, objects=ABOUT)
        assert client.close_interrupted(of_earlier_runs=True) == 1
        client.outcome(running, "success")
        assert client.close_interrupted(of_earlier_runs=True) == 0
    found = verify(tmp_path / "trail")
    assert (found.integrity, found.completeness, found.interrupted) == (True, True, 1)
