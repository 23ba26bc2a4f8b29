"""Hand a shelf's compaction to a process that may open that shelf and no other, and hear how far it is."""

import os
import subprocess
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any, Final, cast

import orjson

from enclave.errors import BadInput, ComponentDown, Damaged, EnclaveError, Kind, Refused
from enclave.journeys.compaction import Progress, ShelfDone, ShelfJob

MODULE: Final = "enclave.shelf_rewriter_child"
NOTHING_MORE: Final[Mapping[str, str]] = MappingProxyType({})
BY_KIND: Final[dict[Kind, type[EnclaveError]]] = {
    "usage": BadInput,
    "refused": Refused,
    "down": ComponentDown,
    "damaged": Damaged,
}


def rewrite_apart(
    job: ShelfJob,
    progress: Progress,
    *,
    environment: Mapping[str, str] = NOTHING_MORE,
    descriptors: tuple[int, ...] = (),
) -> ShelfDone:
    """Have a job done by a process with this environment more, which inherits these descriptors.

    Raises what it said, or `ComponentDown` where it said nothing.
    """
    with subprocess.Popen(
        [sys.executable, "-B", "-m", MODULE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
        pass_fds=descriptors,
    ) as child:
        try:
            with cast("IO[bytes]", child.stdin) as stdin:
                stdin.write(job.model_dump_json().encode())
            last = _heard(job, cast("IO[bytes]", child.stdout), progress)
        except BaseException:
            child.kill()
            raise
    if "result" in last:
        return ShelfDone.model_validate(last["result"])
    if "error" in last:
        told = last["error"]
        raise BY_KIND[last["kind"]](told["code"], told["message"], told["to_do"], **last["params"])
    raise ComponentDown(
        "compaction_process_ended",
        f"The process that rewrites the {job.shelf} shelf ended without a word; the old version is untouched.",
        "Look at the memory and the disk of the machine, then run the compaction again.",
        shelf=job.shelf,
    )


def _heard(job: ShelfJob, said: IO[bytes], progress: Progress) -> dict[str, Any]:
    last: dict[str, Any] = {}
    for line in said:
        last = orjson.loads(line)
        if "done" in last:
            progress(job.shelf, last["done"], last["of"])
    return last
