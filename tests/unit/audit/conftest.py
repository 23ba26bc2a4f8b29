"""A signer, a way to make events, and one whole trail of 300 entries that tests copy."""

import http.server
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.testclient import TestClient

from audit.checkpoint import Signer
from audit.confirm import Partner
from audit.event import Event, new_id, utc_now
from audit.log import Log
from audit.witness import Witness, create_app

ORIGIN = "enclave.example/trail"
SIZE = 300

Make = Callable[..., Event]


def event_json(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "v": 1,
        "id": new_id(),
        "type": "data.query",
        "phase": "single",
        "corr": new_id(),
        "occurred": utc_now(),
        "actor": {"id": "researcher-a", "kind": "person"},
        "source": {"service": "engine", "version": "0.1.0"},
        "project": "project-a",
        "object": [{"kind": "dataset", "id": "dataset-a"}],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


@pytest.fixture(scope="session")
def make() -> Make:
    return lambda **changes: Event.model_validate(event_json(**changes))


@pytest.fixture(scope="session")
def raw() -> Callable[..., dict[str, Any]]:
    return event_json


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer(ORIGIN, Ed25519PrivateKey.generate())


@pytest.fixture
def log(tmp_path: Path, signer: Signer) -> Iterator[Log]:
    opened = Log(tmp_path / "trail", signer)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, signer: Signer, make: Make) -> Path:
    """A closed trail of 300 entries: one full tile, one partial, one above."""
    folder = tmp_path_factory.mktemp("whole") / "trail"
    log = Log(folder, signer)
    for start in range(0, SIZE, 50):
        for each in [log.submit(make()) for _ in range(start, start + 50)]:
            each.result()
    log.close()
    return folder


@pytest.fixture
def trail(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


class Served(http.server.BaseHTTPRequestHandler):
    """One page: what the server's `answer` gives for a POST."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, told, kind = self.server.answer(self.path, body)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def serving(answer: Callable[[str, bytes], tuple[int, bytes, str]]) -> Iterator[str]:
    """Answer on loopback; gives the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    server.answer = answer  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def serve_answers() -> Callable[..., Any]:
    return serving


@dataclass(frozen=True)
class Authority:
    """A time-stamping authority of OpenSSL's, with its own root, on loopback."""

    address: str
    root: Path


TSA_CONFIG = """
[tsa]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[own]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
"""


def openssl(folder: Path, *words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *words], cwd=folder, input=given, capture_output=True, check=True)
    return done.stdout


def make_authority(folder: Path, name: str) -> None:
    """Make a root certificate and one that may stamp."""
    (folder / "tsa.cnf").write_text(TSA_CONFIG.format(folder=folder))
    new = ("req", "-newkey", "rsa:2048", "-nodes")
    subject = f"/CN={name} root"
    openssl(folder, *new, "-x509", "-days", "30", "-keyout", "ca.key", "-out", "ca.pem", "-subj", subject)
    openssl(folder, *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", f"/CN={name}")
    issue = ("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    openssl(folder, *issue, "-days", "30", "-out", "tsa.pem", "-extfile", "tsa.cnf", "-extensions", "own")


@contextmanager
def authority(folder: Path, name: str) -> Iterator[Authority]:
    make_authority(folder, name)

    def answer(_: str, query: bytes) -> tuple[int, bytes, str]:
        (folder / "query.tsq").write_bytes(query)
        sign = ("-signer", "tsa.pem", "-inkey", "tsa.key", "-section", "tsa")
        told = openssl(folder, "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", *sign)
        return 200, told, "application/timestamp-reply"

    with serving(answer) as address:
        yield Authority(address, folder / "ca.pem")


@pytest.fixture(scope="session")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("tsa"), "Time Authority") as opened:
        yield opened


@pytest.fixture(scope="session")
def other_tsa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("other"), "Another Authority") as opened:
        yield opened


@dataclass
class RunningWitness:
    """A witness on loopback with its memory."""

    witness: Witness
    address: str

    @property
    def partner(self) -> Partner:
        return Partner(self.witness.key, self.address)


@pytest.fixture
def start_witness(tmp_path: Path, signer: Signer) -> Iterator[Callable[..., RunningWitness]]:
    """Start a witness by name, with a key and a memory of its own."""
    with ExitStack() as open_ones:

        def start(name: str = "one", clock: Callable[[], float] = time.time) -> RunningWitness:
            own = Signer(f"witness.example/{name}", Ed25519PrivateKey.generate())
            witness = Witness(tmp_path / f"witness-{name}", own, [signer.verifier], clock)
            open_ones.callback(witness.close)

            def answer(path: str, body: bytes) -> tuple[int, bytes, str]:
                client = TestClient(create_app(witness))
                told = client.post(path, content=body)
                return told.status_code, told.content, told.headers["content-type"]

            return RunningWitness(witness, open_ones.enter_context(serving(answer)))

        yield start
