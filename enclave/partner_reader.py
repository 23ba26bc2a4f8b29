"""Hand a partner's Parquet or SAS file to a reader process, and take back its rows as text."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import pyarrow as pa

from enclave.errors import BadInput
from enclave.partner_csv import Read, TextRows, Told, ready, too_large, unreadable
from enclave.partner_reader_child import BATCH_BYTES, COLUMN_KIND, ROW_TOO_LONG

FORMATS: Final = {".parquet": "parquet", ".sas7bdat": "sas7bdat"}
MEMORY_BYTES: Final = 4 << 30  # of address space, much of which is only reserved
CPU_SECONDS: Final = 6 * 3600
# What is taken from the reader at once: its largest batch, and what Arrow adds to one.
TAKEN_BYTES: Final = BATCH_BYTES + (4 << 20)
_ROOT: Final = Path(__file__).resolve().parents[1]
# Nothing of our environment but what finds this package: the reader of hostile bytes holds no secret.
ENVIRONMENT: Final = {
    "PYTHONPATH": str(_ROOT),
    "LC_ALL": "C.UTF-8",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ARROW_IO_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}


def format_of(path: Path) -> str | None:
    """Tell which of these formats a file is said to be in; None for any other."""
    return FORMATS.get(path.suffix.lower())


def header(path: Path) -> tuple[str, ...]:
    """Give the names of the columns; raises `BadInput` when the file cannot be read."""
    with _read_apart(path) as stream:
        return tuple(stream.schema.names)


def text_rows(path: Path, limit: int, told: Told = lambda _done: None) -> Iterator[Read]:
    """Give every cell as text, a few thousand rows at a time; `told` hears how many rows are done.

    Raises `BadInput` when the file cannot be read to its end or its text is more than `limit` bytes.
    """
    rows = size = 0
    with _read_apart(path) as stream:
        for batch in stream:
            size += batch.nbytes
            if size > limit:
                raise too_large(path, limit)
            _check_text(batch)
            rows += batch.num_rows
            told(rows)
            yield ready(TextRows(batch))


def _check_text(batch: pa.RecordBatch) -> None:
    """Believe nothing of what a process that read hostile bytes hands over: every cell is text, and in its bounds."""
    if any(kind != pa.string() for kind in batch.schema.types):
        raise pa.ArrowInvalid("not text")
    batch.validate(full=True)


@contextmanager
def _read_apart(path: Path) -> Iterator[pa.RecordBatchStreamReader]:
    module = "enclave.partner_reader_child"
    command = [
        sys.executable,
        "-P",
        "-B",
        "-m",
        module,
        str(format_of(path)),
        str(MEMORY_BYTES),
        str(CPU_SECONDS),
    ]
    with (
        _opened(path) as file,
        subprocess.Popen(
            command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        ) as child,
    ):
        try:
            yield pa.ipc.open_stream(_Bounded(cast("IO[bytes]", child.stdout)))
        except (pa.ArrowException, OSError):
            cast("IO[bytes]", child.stdout).close()
            raise _unreadable(path, child.wait()) from None
        except BaseException:
            child.kill()
            raise
        # A reader that died leaves a stream that only seems to end
        if _drained(child) and child.wait():
            raise _unreadable(path, child.returncode)


class _Bounded(io.RawIOBase):
    """What a process says, no more of it at once than it should: who believes its sizes gives it all our memory."""

    def __init__(self, said: IO[bytes]) -> None:
        self._said = said

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes; raises `OSError` where they are too many."""
        if not 0 <= size <= TAKEN_BYTES:
            raise OSError("more than a batch")
        return self._said.read(size)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError:
        raise unreadable(path) from None


def _drained(child: "subprocess.Popen[bytes]") -> bool:
    """Tell whether the reader had said all it had to say; one that had not is stopped."""
    left = cast("IO[bytes]", child.stdout).read(1)
    if left:
        child.kill()
    return not left


def _unreadable(path: Path, code: int) -> BadInput:
    if code == COLUMN_KIND:
        return BadInput(
            "partner_file_column_kind",
            f"The file {path.name} has a column that holds lists, records or raw bytes.",
            "Leave it out, or write it as text.",
            file=path.name,
        )
    if code == ROW_TOO_LONG:
        return BadInput(
            "partner_file_row_too_long",
            f"The file {path.name} has a row of more than {BATCH_BYTES >> 20} MB.",
            "Leave out the column that holds it.",
            file=path.name,
        )
    return BadInput(
        "partner_file_not_read",
        f"The file {path.name} cannot be read as {format_of(path)} from its first to its last row.",
        "Check that it was copied whole.",
        file=path.name,
    )
