"""A witness: somebody outside who cosigns only checkpoints that continue what it has seen (C2SP tlog-witness).

Run by a partner on a machine the enclave's administrator does not reach. It keeps one file a log, the largest
checkpoint it has cosigned; whoever restores, rewrites or forks the log gets no cosignature from it any more.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audit.checkpoint import (
    DECIMAL,
    MAX_NOTE_BYTES,
    Checkpoint,
    Signer,
    Verifier,
    decode64,
    open_checkpoint,
    read_note,
)
from audit.cosignature import cosign, witness_key
from audit.errors import AuditError, ProofWrong
from audit.log import VKEY, lock_folder
from audit.proof import MAX_PATH
from audit.tiles import clear_scratch, write_files
from audit.tree import EMPTY_ROOT, HASH_BYTES, check_consistency

MAX_REQUEST_BYTES: Final = MAX_NOTE_BYTES + 4_096  # 63 proof lines of 45 bytes and the old size
SIZE_TYPE: Final = "text/x.tlog.size"
BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE = 400, 403, 404, 409, 422


class Refusal(Exception):
    """What tlog-witness answers when it does not cosign."""

    def __init__(self, status: int, told: str, content_type: str = "text/plain") -> None:
        super().__init__(told)
        self.status = status
        self.told = told
        self.content_type = content_type


class Witness:
    """The witness's memory and key; the only one who writes its folder."""

    def __init__(
        self,
        directory: Path,
        signer: Signer,
        logs: Iterable[Verifier],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the folder; raises LogUnavailable when another witness owns it."""
        self.directory = directory
        self._signer = signer
        self._logs = {each.name: each for each in logs}
        self._clock = clock
        self._one_at_a_time = threading.Lock()  # compare and persist are one step, else a race rolls back
        self._lock = lock_folder(directory, "witness owns this folder")
        clear_scratch(directory)
        write_files(directory, {VKEY: f"{self.key.vkey()}\n".encode()})

    @property
    def key(self) -> Verifier:
        """The public key to hand to whoever verifies."""
        return witness_key(self._signer)

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._lock)

    def seen_file(self, origin: str) -> Path:
        """Give the file with the largest checkpoint cosigned for a log: what `verify --since` takes."""
        return self.directory / f"{sha256(origin.encode()).hexdigest()[:16]}.checkpoint"

    def add(self, raw: bytes) -> str:
        """Cosign a checkpoint that continues the last one; gives the signature line.

        Raises Refusal with the status tlog-witness asks for.
        """
        old, path, note = _read_request(raw)
        with self._one_at_a_time:
            verifier = self._known(note)
            checkpoint = _opened(note, verifier)
            if old > checkpoint.size:
                raise Refusal(BAD_REQUEST, "the old size is larger than the checkpoint's")
            seen = self._seen(verifier)
            _compare(seen, old, checkpoint, path)
            line = cosign(self._signer, read_note(note).body, int(self._clock()))
            self._keep(verifier, note)
            return line

    def _known(self, note: str) -> Verifier:
        origin = note.partition("\n")[0]
        if origin not in self._logs:
            raise Refusal(NOT_FOUND, "this witness does not know the log")
        return self._logs[origin]

    def _seen(self, verifier: Verifier) -> Checkpoint:
        path = self.seen_file(verifier.name)
        if not path.exists():
            return Checkpoint(verifier.name, 0, EMPTY_ROOT)
        return open_checkpoint(path.read_text(encoding="utf-8"), verifier)

    def _keep(self, verifier: Verifier, note: str) -> None:
        write_files(self.directory, {self.seen_file(verifier.name).name: note.encode()})


def _read_request(raw: bytes) -> tuple[int, list[bytes], str]:
    try:
        head, gap, note = raw.decode().partition("\n\n")
        first, *lines = head.split("\n")
        word, _, old = first.partition(" ")
        path = [decode64(line) for line in lines]
    except (UnicodeDecodeError, ProofWrong):
        raise Refusal(BAD_REQUEST, "the request is malformed") from None
    wrong = word != "old" or not DECIMAL.fullmatch(old) or any(len(each) != HASH_BYTES for each in path)
    if wrong or not gap or len(path) > MAX_PATH:
        raise Refusal(BAD_REQUEST, "the request is malformed")
    return int(old), path, note


def _opened(note: str, verifier: Verifier) -> Checkpoint:
    try:
        return open_checkpoint(note, verifier)
    except ProofWrong as wrong:
        raise Refusal(FORBIDDEN, wrong.message) from None


def _compare(seen: Checkpoint, old: int, checkpoint: Checkpoint, path: list[bytes]) -> None:
    if old != seen.size or (old == checkpoint.size and seen.root != checkpoint.root):
        raise Refusal(CONFLICT, f"{seen.size}\n", SIZE_TYPE)
    try:
        check_consistency(seen.size, checkpoint.size, seen.root, checkpoint.root, path)
    except ProofWrong as wrong:
        raise Refusal(UNPROCESSABLE, wrong.message) from None


def create_app(witness: Witness) -> Starlette:
    """Give the witness's HTTP interface."""

    async def add_checkpoint(request: Request) -> Response:
        held = b""
        async for part in request.stream():
            held += part
            if len(held) > MAX_REQUEST_BYTES:
                return Response("too large\n", 413)
        try:
            return Response(await run_in_threadpool(witness.add, held), media_type="text/plain")
        except Refusal as refusal:
            return Response(refusal.told, refusal.status, {"Content-Type": refusal.content_type})
        except (AuditError, OSError):
            return Response("the witness cannot keep what it has seen\n", 503)

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


def serve(
    witness: Witness, host: str, port: int
) -> None:  # pragma: no cover  (run as a process by the tests)
    """Answer until told to stop; put a proxy with TLS in front of it where it is reached over a network."""
    uvicorn.run(
        create_app(witness),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
    )
