"""How columns are held on a shelf and handed to polars.

A column with a declared domain is held as codes into that domain, which the manifest lists; it comes back as a
polars Enum in the declared order. That spares polars building categories anew for every part.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from vault.errors import VaultDamaged, VaultUsage

CODES: Final = pa.dictionary(pa.int32(), pa.string())
TEXT: Final = pa.large_string()

Domains = Mapping[str, Sequence[str]]
Words = Mapping[str, pa.Array]


def domain_words(domains: Domains) -> Words:
    """Give each domain as the dictionary its column is stored with; raises for a value that is listed twice."""
    for name, domain in domains.items():
        if len(set(domain)) != len(domain):
            raise VaultUsage("domain_value_twice", f"The domain of {name} lists a value twice.", column=name)
    return {name: pa.array(list(domain), pa.string()) for name, domain in domains.items()}


def to_stored(table: pa.Table, words: Words) -> pa.Table:
    """Give the table as a shelf holds it: one chunk, codes for declared domains, no metadata of its maker."""
    columns = [_stored(name, table.column(name), words.get(name)) for name in table.column_names]
    return pa.table(columns, names=table.column_names).combine_chunks()


def to_frame(table: pa.Table, domains: Domains) -> pl.DataFrame:
    """Give a table read from a shelf to polars; raises when its codes are not those of the manifest's domain."""
    return pl.DataFrame([_series(name, table.column(name), domains) for name in table.column_names])


def frame_schema(schema: pa.Schema, domains: Domains) -> pl.Schema:
    """Give the polars schema of a shelf without reading a row."""
    return to_frame(schema.empty_table(), domains).schema


def _stored(name: str, column: pa.ChunkedArray, words: pa.Array | None) -> pa.ChunkedArray:
    if words is not None and _coded(column, words):
        return column
    text = _as_text(column)
    if text is None:
        return column
    if words is None:
        return text
    codes = pc.index_in(text, value_set=words.cast(TEXT))
    if codes.null_count != text.null_count:
        raise VaultUsage("code_outside_domain", f"{name} holds a value outside its domain.", column=name)
    chunks = [pa.DictionaryArray.from_arrays(chunk, words) for chunk in codes.chunks]
    return pa.chunked_array(chunks, type=CODES)


def _coded(column: pa.ChunkedArray, words: pa.Array) -> bool:
    """Tell whether a column is held as codes into this very domain already."""
    return column.type == CODES and all(chunk.dictionary.equals(words) for chunk in column.chunks)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not any(
        test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    ):
        return None
    return column.cast(TEXT)


def _series(name: str, column: pa.ChunkedArray, domains: Domains) -> pl.Series:
    if not pa.types.is_dictionary(column.type):
        return cast("pl.Series", pl.from_arrow(column, rechunk=False)).alias(name)
    words, kind = _domain(tuple(domains.get(name, ())))
    if any(chunk.null_count < len(chunk) and not chunk.dictionary.equals(words) for chunk in column.chunks):
        raise VaultDamaged(
            "shelf_domain_mismatch",
            f"The codes of {name} are not those of its manifest's domain.",
            column=name,
        )
    codes = pa.chunked_array([chunk.indices for chunk in column.chunks], pa.int32())
    return cast("pl.Series", pl.from_arrow(codes, rechunk=False)).cast(kind).alias(name)


@lru_cache(maxsize=256)
def _domain(domain: tuple[str, ...]) -> tuple[pa.Array, pl.Enum]:
    """Make a domain's two forms once: a version has many parts, and each would make them anew."""
    return pa.array(domain, pa.string()), pl.Enum(domain)
