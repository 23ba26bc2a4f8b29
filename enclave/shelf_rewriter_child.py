"""Rewrite one shelf in a process of its own, with the rights of that shelf alone and nothing of another.

The job comes as JSON on standard input. Lines of progress leave on standard output, then what was written or why not.
Started by `shelf_rewriter.py` only; it ends when the process that started it does.
"""

import ctypes
import os
import signal
import sys
from typing import Any, Final

import orjson

from anonymisation.errors import AnonymisationError
from enclave.errors import EnclaveError, as_json, exit_code
from enclave.journeys.compaction import RIGHTS, RewriteTools, ShelfJob, rewrite
from enclave.journeys.objection_list import FOLDER
from enclave.settings import Settings, read_settings
from enclave.wiring import open_keys, recorder
from vault.errors import VaultError
from vault.sealed_list import SealedLists

PR_SET_PDEATHSIG: Final = 1  # prctl(2)
SERVICE: Final = "compaction"


def main() -> int:
    """Do the job on standard input; gives an exit code of the house."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    job = ShelfJob.model_validate_json(sys.stdin.buffer.read())
    try:
        done = rewrite(_tools(read_settings(), job), job, lambda done, of: _say({"done": done, "of": of}))
    except (EnclaveError, AnonymisationError, VaultError) as error:
        _say({**as_json(error), "params": error.params, "kind": error.kind})
        return exit_code(error)
    _say({"result": done.model_dump(mode="json")})
    return 0


def _tools(settings: Settings, job: ShelfJob) -> RewriteTools:
    return RewriteTools(
        root=settings.state / "shelves",
        lists=SealedLists(settings.state / FOLDER),
        recorder=recorder(settings, SERVICE),
        keys=open_keys(settings, RIGHTS[job.shelf]),
    )


def _say(told: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
