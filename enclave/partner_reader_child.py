"""Read a partner's Parquet or SAS file in a process of its own: their readers are large C++ and C programs.

The file comes as standard input; its rows leave on standard output as an Arrow stream of text columns, a few thousand at a
time. Started by `partner_reader.py` only, without any secret and under limits; what it cannot hold is an exit code.
"""

import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, Final

BATCH_ROWS: Final = 16 * 1024
# What is handed over at a time: no more of it is in anybody's memory, whatever a few packed bytes unpack to.
BATCH_BYTES: Final = 8 << 20
EXACT: Final = 2**53  # a double holds whole numbers exactly up to here
COLUMN_KIND: Final = 3  # exit code: a column is of a kind that is no cell
ROW_TOO_LONG: Final = 4  # exit code
INPUT: Final = "/proc/self/fd/0"


class ColumnKind(Exception):
    """A column is nested or binary."""


class RowTooLong(Exception):
    """A row holds more than may be handed over at a time."""


def main() -> int:
    """Read standard input as the format named, within the limits given: bytes of memory, seconds."""
    kind, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _send(_parquet() if kind == "parquet" else _sas())
    except ColumnKind:
        return COLUMN_KIND
    except RowTooLong:
        return ROW_TOO_LONG
    return 0


def _send(batches: Iterator[Any]) -> None:
    import pyarrow as pa

    with os.fdopen(os.dup(1), "wb") as sink:
        out = None
        for batch in batches:
            text = pa.record_batch([_text(pa, column) for column in batch.columns], names=batch.schema.names)
            out = out or pa.ipc.new_stream(sink, text.schema)
            for piece in _pieces(text):
                out.write_batch(piece)
        if out is not None:
            out.close()


def _pieces(rows: Any) -> Iterator[Any]:
    if rows.nbytes <= BATCH_BYTES:
        yield rows
        return
    half = rows.num_rows // 2
    if not half:
        raise RowTooLong
    yield from _pieces(rows.slice(0, half))
    yield from _pieces(rows.slice(half))


def _parquet() -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    file = pq.ParquetFile(INPUT, memory_map=False, pre_buffer=False)
    yield _empty(pa, file.schema_arrow)
    yield from file.iter_batches(BATCH_ROWS, use_threads=False)


def _empty(pa: Any, schema: Any) -> Any:
    return pa.record_batch([pa.array([], field.type) for field in schema], schema=schema)


def _sas() -> Iterator[Any]:
    import pyarrow as pa
    import pyreadstat

    start = 0
    while True:
        rows, _ = pyreadstat.read_sas7bdat(
            INPUT, output_format="polars", row_offset=start, row_limit=BATCH_ROWS
        )
        table = rows.to_arrow()
        yield from table.combine_chunks().to_batches() or [_empty(pa, table.schema)]
        start += rows.height
        if rows.height < BATCH_ROWS:
            return


def _text(pa: Any, column: Any) -> Any:
    """Write a column as a CSV would: ISO dates, a point, whole numbers without one."""
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise ColumnKind
    if pa.types.is_floating(kind):
        return _numbers(pa, pc, column)
    if pa.types.is_timestamp(kind):
        if kind.tz is not None:  # a day is what the clocks of that place showed
            return _text(pa, pc.local_timestamp(column))
        days = column.cast(pa.date32(), safe=False)
        midnight = pc.equal(days.cast(kind), column)
        return pc.if_else(midnight, days.cast(pa.string()), pc.strftime(column, "%Y-%m-%dT%H:%M:%S"))
    if pa.types.is_dictionary(kind):
        return _text(pa, column.dictionary_decode())
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        raise ColumnKind from None


def _numbers(pa: Any, pc: Any, column: Any) -> Any:
    doubles = column.cast(pa.float64())
    # What is no number says nothing, as nothing else can in such a column; infinity says something no kind can hold
    said = pc.if_else(pc.is_nan(doubles), None, doubles)
    whole = pc.and_(pc.equal(pc.floor(said), said), pc.less(pc.abs(said), float(EXACT)))
    integers = pc.if_else(whole, said, None).cast(pa.int64()).cast(pa.string())
    return pc.coalesce(integers, said.cast(pa.string()))


if __name__ == "__main__":
    sys.exit(main())
