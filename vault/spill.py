"""Rows on their way to their buckets: on disk, because there may be more of them than memory, and never plain.

The key exists in this process's memory only. What a killed process leaves opens for nobody, and is removed with
the folder it lies in.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa

from vault.columns import Words
from vault.parquet import KEY_BYTES
from vault.pieces import SealedPieces, read_pieces

COMPRESSION: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class Spill:
    """Tables put down piece by piece under (shelf, bucket) and taken up once, whole."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._key = os.urandom(KEY_BYTES)
        self._held: dict[tuple[str, int], SealedPieces] = {}

    def put(self, shelf: str, bucket: int, rows: pa.Table) -> None:
        """Put rows down; columns of codes go without their domain, which is the same for all."""
        held = self._held.get((shelf, bucket))
        if held is None:
            name = f"{shelf}-{bucket}"
            held = self._held[shelf, bucket] = SealedPieces(self._folder / name, self._key, name)
        held.append(_to_bytes(_bare(rows)))

    def take(self, shelf: str, bucket: int, schema: pa.Schema, words: Words) -> pa.Table:
        """Take a bucket's rows up and forget them; `words` are the domains of the columns of codes."""
        held = self._held.pop((shelf, bucket), None)
        if held is None:
            return schema.empty_table()
        held.close()
        pieces = [_dressed(_from_bytes(piece), schema, words) for piece in self._read(held)]
        held.path.unlink()
        return pa.concat_tables(pieces).combine_chunks()

    def _read(self, held: SealedPieces) -> Iterator[bytes]:
        return read_pieces(held.path, self._key, held.path.name)


def _bare(rows: pa.Table) -> pa.Table:
    columns = [
        pa.chunked_array([chunk.indices for chunk in column.chunks], column.type.index_type)
        if pa.types.is_dictionary(column.type)
        else column
        for column in rows.columns
    ]
    return pa.table(columns, names=rows.column_names)


def _dressed(rows: pa.Table, schema: pa.Schema, words: Words) -> pa.Table:
    columns = [
        pa.DictionaryArray.from_arrays(rows.column(name).combine_chunks(), words[name])
        if pa.types.is_dictionary(schema.field(name).type)
        else rows.column(name)
        for name in schema.names
    ]
    return pa.table(columns, schema=schema)


def _to_bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=COMPRESSION) as out:
        out.write_table(rows)
    return bytes(sink.getvalue())


def _from_bytes(piece: bytes) -> pa.Table:
    with pa.ipc.open_stream(piece) as stream:
        return stream.read_all()
