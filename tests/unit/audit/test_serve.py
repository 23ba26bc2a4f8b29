"""The recorder as a real process: killed in mid-commit, on a full disk, on a read-only one."""

import contextlib
import http.client
import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import orjson
import pytest

from audit.tiles import WIDTH, TileReader
from audit.tree import leaf_hash
from audit.verify import verify

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = 6
START_SECONDS = 60


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path) -> None:
        super().__init__("recorder", timeout=START_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Recorder:
    """A recorder process on a short path, started and ended by the test that owns it."""

    def __init__(self, folder) -> None:
        self.folder, self.trail, self.path = folder, folder / "trail", folder / "r.sock"
        (folder / "pass").write_text("long random words")
        self.process = None

    def command(self):
        named = {
            "dir": self.trail,
            "socket": self.path,
            "origin": "a.example",
            "key-file": self.folder / "key.pem",
            "passphrase-file": self.folder / "pass",
        }
        return [
            sys.executable,
            "-m",
            "audit",
            "serve",
            *(f"--{name}={value}" for name, value in named.items()),
        ]

    def start(self, *wrapper):
        self.process = subprocess.Popen(
            [*wrapper, *self.command()], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("GET", "/v1/health")
                return
            time.sleep(0.02)
        raise AssertionError(self.end(signal.SIGKILL))

    def ask(self, method, path, body=None):
        connection = Unix(self.path)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, event):
        status, body = self.ask("POST", "/v1/events", orjson.dumps(event))
        return status, json.loads(body)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.communicate(timeout=START_SECONDS)[1]


@pytest.fixture
def recorder():
    folder = Path(tempfile.mkdtemp(prefix="audit-"))  # short: a unix socket path ends at 107 bytes
    owned = Recorder(folder)
    yield owned
    if owned.process is not None and owned.process.poll() is None:
        owned.end(signal.SIGKILL)
    if owned.process is not None and owned.process.stderr is not None:
        owned.process.stderr.close()
    shutil.rmtree(folder)


def write_until_killed(recorder, raw, acknowledged):
    """One client over one connection; what it was told is durable is in `acknowledged`."""
    connection = Unix(recorder.path)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            event = raw()
            connection.request("POST", "/v1/events", orjson.dumps(event))
            answer = connection.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 201, told
            acknowledged[told["index"]] = (event["id"], told["leaf_sha256"])
    connection.close()


def kill_in_mid_commit(recorder, raw, acknowledged, pause):
    recorder.start()
    clients = [
        threading.Thread(target=write_until_killed, args=(recorder, raw, acknowledged))
        for _ in range(CLIENTS)
    ]
    before = len(acknowledged)
    for each in clients:
        each.start()
    deadline = time.monotonic() + START_SECONDS
    while len(acknowledged) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(pause)
    recorder.end(signal.SIGKILL)
    for each in clients:
        each.join()


def survive(recorder, raw, kills):
    chance = random.Random(kills)
    acknowledged = {}
    for _ in range(kills):
        kill_in_mid_commit(recorder, raw, acknowledged, chance.uniform(0, 0.15))
    recorder.start()
    assert recorder.end() == b""
    report = verify(recorder.trail)
    assert report.integrity, report.steps
    assert report.size >= len(acknowledged) >= kills
    reader = TileReader(recorder.trail, report.size)
    entries = [entry for start in range(0, report.size, WIDTH) for entry in reader.bundle(start // WIDTH)]
    lost = [
        index
        for index, (event_id, hashed) in acknowledged.items()
        if orjson.loads(entries[index])["id"] != event_id or leaf_hash(entries[index]).hex() != hashed
    ]
    assert lost == []


def test_twenty_kills_in_mid_commit_lose_no_acknowledged_entry(recorder, raw):
    survive(recorder, raw, kills=20)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_in_mid_commit_lose_no_acknowledged_entry(recorder, raw):
    survive(recorder, raw, kills=200)


def test_a_recorder_that_is_stopped_ends_with_0_and_records_its_stop(recorder, raw):
    recorder.start()
    assert recorder.post(raw())[0] == 201
    recorder.end()
    assert recorder.process.returncode == 0
    assert not recorder.path.exists()
    report = verify(recorder.trail)
    assert (report.size, report.exit_code) == (3, 0)


def test_the_socket_and_every_file_are_private(recorder, raw):
    recorder.start()
    recorder.post(raw())
    assert recorder.path.stat().st_mode & 0o777 == 0o600
    public = [path for path in recorder.trail.rglob("*") if path.stat().st_mode & 0o077]
    assert public == []


def test_a_second_recorder_on_the_trail_ends_with_4_and_leaves_the_first_alone(recorder, raw):
    recorder.start()
    second = subprocess.run(
        recorder.command(), cwd=ROOT, capture_output=True, timeout=START_SECONDS, check=False
    )
    assert second.returncode == 4
    assert json.loads(second.stderr)["error"]["code"] == "second_recorder"
    assert recorder.post(raw())[0] == 201


def on_small_disk(recorder, size):
    """Give the wrapper that runs a program with the trail's folder on a disk of so many bytes."""
    recorder.trail.mkdir()
    mount = f'mount -t tmpfs -o size={size} none "{recorder.trail}" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]


@pytest.mark.sandbox
def test_a_full_disk_refuses_with_503_and_leaves_nothing_half_written(recorder, raw):
    recorder.start(*on_small_disk(recorder, "1500k"))
    accepted = 0
    while (answer := recorder.post(raw()))[0] == 201:
        accepted += 1
    status, told = answer
    assert status == 503
    assert told["error"]["code"] in {"disk_full", "tiles_not_written"}
    assert "nothing was recorded" in told["error"]["message"]
    assert accepted > 10
    total = json.loads(recorder.ask("GET", "/v1/events?type=data.query&limit=1")[1])["total"]
    assert total == accepted
    status, told = recorder.post(raw())
    assert status == 503


@pytest.mark.sandbox
def test_a_read_only_folder_is_refused_at_the_start(recorder):
    recorder.start()
    recorder.end()
    mount = f'mount --bind "{recorder.trail}" "{recorder.trail}" && mount -o remount,bind,ro "{recorder.trail}" && exec "$@"'
    wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    done = subprocess.run(
        [*wrapper, *recorder.command()], cwd=ROOT, capture_output=True, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 4
    assert json.loads(done.stderr)["error"]["code"] == "log_not_opened"
