"""Read a Parquet file in a process of its own: a hostile one can abort the interpreter that reads it.

Bytes come on standard input, one JSON object leaves on standard output. Started by `parquet.py` only.
"""

import base64
import json
import os
import resource
import sys
from typing import Any, Final

USUAL_METADATA: Final = frozenset({b"pandas", b"ARROW:schema"})
FIELD_METADATA: Final = frozenset({b"PARQUET:field_id"})
LARGEST_METADATA: Final = 64_000
# What writers leave: alignment, and for each column chunk its page index and a copy of its description.
SLACK, SLACK_PER_CHUNK = 64, 160


def main() -> None:
    """Read standard input within the limits given: bytes of memory, seconds, rows."""
    memory, seconds, most_rows, unpacked = (int(argument) for argument in sys.argv[1:5])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print(json.dumps(_read(sys.stdin.buffer.read(), most_rows, unpacked)), flush=True)  # noqa: T201 - the answer
    # Arrow's threads may abort the process while it ends (seen on a busy machine), after the answer was given.
    os._exit(0)


def _read(data: bytes, most_rows: int, unpacked: int) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_cpu_count(1)
    file = pq.ParquetFile(pa.BufferReader(data), memory_map=False)
    found = _outline(data, file.metadata, file.schema_arrow)
    flat = not any(
        pa.types.is_nested(field.type) or _is_binary(pa, field.type) for field in file.schema_arrow
    )
    found["nested"] = not flat
    small = _unpacked(file.metadata) <= unpacked
    if flat and small and file.metadata.num_rows <= most_rows:
        table = file.read(use_threads=False)
        found["rows"] = [[_text(cell) for cell in row.values()] for row in table.to_pylist()]
        found["unused_values"] = _unused(pq, pa, data, table)
    return found


def _outline(data: bytes, metadata: Any, schema: Any) -> dict[str, Any]:
    kept = {**(metadata.metadata or {}), **(schema.metadata or {})}
    fields = [key for field in schema for key in (field.metadata or {})]
    strange = any(key not in USUAL_METADATA or len(value) > LARGEST_METADATA for key, value in kept.items())
    return {
        "header": schema.names,
        "lines": metadata.num_rows,
        "metadata": strange or any(key not in FIELD_METADATA for key in fields),
        "text": [_text(value.decode("utf-8", "replace")) for key, value in kept.items() if key == b"pandas"],
        "gap": _gap(data, metadata) > SLACK + SLACK_PER_CHUNK * len(_chunks(metadata)),
        "rows": None,
        "unused_values": False,
    }


def _chunks(metadata: Any) -> list[Any]:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [group.column(number) for group in groups for number in range(group.num_columns)]


def _unpacked(metadata: Any) -> int:
    return sum(int(chunk.total_uncompressed_size) for chunk in _chunks(metadata))


def _gap(data: bytes, metadata: Any) -> int:
    """Give how many bytes belong neither to a column, nor to the footer, nor to the two magic numbers."""
    footer = int.from_bytes(data[-8:-4], "little") + 8
    return len(data) - 4 - footer - sum(int(chunk.total_compressed_size) for chunk in _chunks(metadata))


def _is_binary(pa: Any, kind: Any) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _unused(pq: Any, pa: Any, data: bytes, table: Any) -> bool:
    """Tell whether a text column's dictionary in the file holds values that no row shows."""
    names = [field.name for field in table.schema if _is_text(pa, field.type)]
    if not names:
        return False
    read = pq.read_table(pa.BufferReader(data), columns=names, read_dictionary=names, use_threads=False)
    for name in names:
        shown = set(table[name].to_pylist())
        for chunk in read[name].chunks:
            if pa.types.is_dictionary(chunk.type) and not set(chunk.dictionary.to_pylist()) <= shown:
                return True
    return False


def _is_text(pa: Any, kind: Any) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain))


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    main()
