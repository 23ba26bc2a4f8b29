"""A real OpenBao on loopback: started, initialised, unsealed, and given the policies of vault/policies."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import pytest
import requests

from vault.keys import MAC_NAMES, SIGN_NAMES, Rights
from vault.openbao import AppRole, Connection, Server
from vault.transit import TransitKeys

HERE = Path(__file__).parent
POLICIES = HERE.parents[2] / "vault" / "policies"
PROCESSES = [rights.name.lower() for rights in Rights]
START_SECONDS = 60.0
CONFIG = """
disable_mlock = true
storage "inmem" {{}}
listener "tcp" {{
  address     = "127.0.0.1:{port}"
  tls_disable = true
}}
"""


@dataclass
class OpenBao:
    """The server, and the administrator's way to it."""

    process: subprocess.Popen[bytes]
    address: str
    admin: hvac.Client
    unseal_key: str

    def login(self, process: str) -> AppRole:
        role = f"enclave-{process}"
        role_id = self.admin.auth.approle.read_role_id(role)["data"]["role_id"]
        return AppRole(role_id, self.admin.auth.approle.generate_secret_id(role)["data"]["secret_id"])

    def connection(self, process: str, **more: Any) -> Connection:
        return Connection(Server(self.address), self.login(process), sleep=lambda _: None, **more)

    def keys(self, process: str, rights: Rights | None = None, **more: Any) -> TransitKeys:
        """Sign in as a process; with other `rights` only the server is left to refuse."""
        return TransitKeys(self.connection(process, **more), rights or Rights[process.upper()])


def built() -> Path:
    """Give the server `build` made; without Go there is none to ask, with Go a missing one is a failure in CI."""
    made = subprocess.run([HERE / "build"], check=False, capture_output=True, text=True)
    if made.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"OpenBao does not build:\n{made.stderr}")
    if not made.stdout:
        pytest.skip(made.stderr.strip())
    return Path(made.stdout.strip())


@pytest.fixture(scope="session")
def server() -> Iterator[OpenBao]:
    with opened() as bao:
        yield bao


@contextmanager
def opened() -> Iterator[OpenBao]:
    """Start a server of its own; for a test that seals or stops it."""
    folder = Path(tempfile.mkdtemp(prefix="openbao-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "server.hcl").write_text(CONFIG.format(port=port))
    command = [built(), "server", "-config", folder / "server.hcl"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(folder)})
    try:
        yield _prepared(process, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _prepared(process: subprocess.Popen[bytes], address: str) -> OpenBao:
    session = requests.Session()
    session.trust_env = False
    admin = hvac.Client(url=address, token="", session=session)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(address):
        assert process.poll() is None, "the server ended at once"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.1)
    made = admin.sys.initialize(secret_shares=1, secret_threshold=1)
    admin.sys.submit_unseal_key(made["keys"][0])
    admin.token = made["root_token"]
    _lay_out(admin)
    return OpenBao(process, address, admin, made["keys"][0])


def _answers(address: str) -> bool:
    try:
        requests.get(f"{address}/v1/sys/init", timeout=1)
    except requests.RequestException:
        return False
    return True


def _lay_out(admin: hvac.Client) -> None:
    """Do what docs/keys.md tells the operator to do."""
    admin.sys.enable_secrets_engine("transit")
    admin.sys.enable_auth_method("approle")
    for name in MAC_NAMES:
        admin.secrets.transit.create_key(f"mac_{name}")
    for name in SIGN_NAMES:
        admin.secrets.transit.create_key(f"sign_{name}", key_type="ed25519")
    for process in PROCESSES:
        admin.sys.create_or_update_policy(f"enclave-{process}", (POLICIES / f"{process}.hcl").read_text())
        admin.auth.approle.create_or_update_approle(
            f"enclave-{process}",
            token_policies=[f"enclave-{process}"],
            token_no_default_policy=False,
            token_ttl="15m",
        )
