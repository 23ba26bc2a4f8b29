"""A small HTTP server on loopback that speaks the shape of the transit API: for what a real server does rarely.

Policies are not in it; tests/integration/openbao asks the real server about those.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROLE, SECRET, POD = "role-of-a-process", "secret-of-a-process", "token-of-a-pod"
LEASE = 900.0
Answer = tuple[int, dict[str, Any] | None]


@dataclass
class Key:
    versions: list[bytes]
    least: int = 1
    deletable: bool = False


@dataclass
class House:
    """What the server holds, and what a test wants it to do next."""

    keys: dict[str, Key] = field(default_factory=dict)
    tokens: dict[str, bool] = field(default_factory=dict)
    lease: float = LEASE
    renewed_lease: float | None = LEASE  # None: renewal is refused
    secrets: set[str] = field(default_factory=lambda: {SECRET})
    wrapped: dict[str, str] = field(default_factory=dict)
    wrapped_at: str = "auth/approle/role/enclave-engine/secret-id"
    sealed: bool = False
    deny: set[str] = field(default_factory=set)
    next_answers: list[Answer | str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    address: str = ""

    def sign_ins(self) -> int:
        return sum(one.endswith("/login") for one in self.seen)


@contextmanager
def transit_on_loopback() -> Iterator[House]:
    house = House()
    for name in ("unit", "order", "pseudonym", "release"):
        house.keys[f"mac_{name}"] = Key([os.urandom(32)])
    for name in ("manifest", "package"):
        house.keys[f"sign_{name}"] = Key([os.urandom(32)])
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: _Handler(house, *given))
    house.address = f"http://127.0.0.1:{server.server_address[1]}"
    worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    worker.start()
    try:
        yield house
    finally:
        server.shutdown()
        worker.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, house: House, *given: Any) -> None:
        self.house = house
        super().__init__(*given)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_LIST(self) -> None:
        self._answer("LIST")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        path = self.path.removeprefix("/v1/")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.house.seen.append(f"{method} {path}")
        if self.house.next_answers:
            planned = self.house.next_answers.pop(0)
            if planned == "cut":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
                return
            if planned != "pass":
                self._send(planned)
                return
        self._send(answer(self.house, method, path, body, self.headers.get("X-Vault-Token")))

    def _send(self, told: Answer | str) -> None:
        assert not isinstance(told, str)
        status, body = told
        sent = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


def answer(house: House, method: str, path: str, body: dict[str, Any], token: str | None) -> Answer:
    if path.endswith("/login"):
        known = body.get("secret_id") in house.secrets or body.get("jwt") == POD
        return _token(house, house.lease) if known else _error(400, "invalid role or secret ID")
    if path == "sys/seal-status":
        return 200, {"sealed": house.sealed}
    if path.startswith("sys/wrapping/"):
        return _wrapping(house, path, body, token or "")
    if not house.tokens.get(token or "") or any(path.startswith(one) for one in house.deny):
        return _error(403, "permission denied")
    if path.startswith("auth/token/"):
        return _own_token(house, path, token)
    return _transit(house, method, path.removeprefix("transit/"), body)


def _own_token(house: House, path: str, token: str | None) -> Answer:
    if path == "auth/token/lookup-self":
        return 200, {"data": {"id": "hidden"}}
    lease = house.renewed_lease
    return _error(403, "permission denied") if lease is None else _token(house, lease, token)


def _wrapping(house: House, path: str, body: dict[str, Any], token: str) -> Answer:
    if path.endswith("lookup") and body["token"] in house.wrapped:
        return 200, {"data": {"creation_path": house.wrapped_at}}
    if path.endswith("unwrap") and token in house.wrapped:
        return 200, {"data": {"secret_id": house.wrapped.pop(token)}}
    return _error(400, "wrapping token is not valid or does not exist")


def _token(house: House, lease: float, token: str | None = None) -> Answer:
    token = token or base64.b32encode(os.urandom(10)).decode()
    house.tokens[token] = True
    return 200, {"auth": {"client_token": token, "lease_duration": lease, "renewable": True}}


def _error(status: int, said: str) -> Answer:
    return status, {"errors": [said]}


def _transit(house: House, method: str, path: str, body: dict[str, Any]) -> Answer:
    verb, _, rest = path.partition("/")
    if method == "LIST":
        return (200, {"data": {"keys": sorted(house.keys)}}) if house.keys else (404, {"errors": []})
    if verb == "keys":
        return _keys(house, method, rest, body)
    name = rest.rpartition("/")[2] if verb == "datakey" else rest.partition("/")[0]
    key = house.keys.get(name)
    if key is None:
        return _error(400, "encryption key not found")
    return _used(key, verb, body)


def _keys(house: House, method: str, rest: str, body: dict[str, Any]) -> Answer:
    name, _, act = rest.partition("/")
    if method == "POST" and not act:
        house.keys.setdefault(name, Key([os.urandom(32)]))
        return 204, None
    key = house.keys.get(name)
    if key is None:
        return (404, {"errors": []}) if method == "GET" else _error(400, "no existing key named that")
    if method == "DELETE":
        del house.keys[name]
        return (204, None) if key.deletable else _error(400, "deletion is not allowed for this key")
    if method == "GET":
        public = Ed25519PrivateKey.from_private_bytes(key.versions[0]).public_key().public_bytes_raw()
        return 200, {
            "data": {"latest_version": len(key.versions), "keys": {"1": {"public_key": _b64(public)}}}
        }
    if act == "rotate":
        key.versions.append(os.urandom(32))
    key.deletable = body.get("deletion_allowed", key.deletable)
    key.least = body.get("min_decryption_version", key.least)
    return 204, None


def _used(key: Key, verb: str, body: dict[str, Any]) -> Answer:
    version, bound = len(key.versions), base64.b64decode(body.get("context", ""))
    if verb == "datakey":
        plain = os.urandom(32)
        return 200, {"data": {"plaintext": _b64(plain), "ciphertext": _sealed(key, version, bound, plain)}}
    if verb in {"decrypt", "rewrap"}:
        return _opened(key, verb, bound, body["ciphertext"])
    given = base64.b64decode(body["input"])
    if verb == "hmac":
        return 200, {
            "data": {"hmac": "vault:v1:" + _b64(hmac.digest(key.versions[0], given, hashlib.sha256))}
        }
    signature = Ed25519PrivateKey.from_private_bytes(key.versions[0]).sign(given)
    return 200, {"data": {"signature": "vault:v1:" + _b64(signature)}}


def _opened(key: Key, verb: str, bound: bytes, ciphertext: str) -> Answer:
    prefix, _, text = ciphertext.rpartition(":")
    version = int(prefix.removeprefix("vault:v") or 0) if prefix.startswith("vault:v") else 0
    if not 1 <= version <= len(key.versions):
        return _error(400, "invalid ciphertext: no prefix")
    if version < key.least:
        return _error(400, "ciphertext or signature version is disallowed by policy (too old)")
    raw = base64.b64decode(text)
    try:
        plain = AESGCM(key.versions[version - 1]).decrypt(raw[:12], raw[12:], bound)
    except InvalidTag:
        return _error(400, "cipher: message authentication failed")
    if verb == "decrypt":
        return 200, {"data": {"plaintext": _b64(plain)}}
    return 200, {"data": {"ciphertext": _sealed(key, len(key.versions), bound, plain)}}


def _sealed(key: Key, version: int, bound: bytes, plain: bytes) -> str:
    nonce = os.urandom(12)
    return f"vault:v{version}:{_b64(nonce + AESGCM(key.versions[version - 1]).encrypt(nonce, plain, bound))}"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
