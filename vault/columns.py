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


def to_bare(table: pa.Table, words: Words) -> pa.Table:
    """Give the table as it waits to be stored: codes without their domain, which is the same for all, texts as they came.

    Raises where a value lies outside its domain.
    """
    columns = [_bare(name, table.column(name), words.get(name)) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def stored_schema(given: pa.Schema, words: Words) -> pa.Schema:
    """Give the schema of the shelf that holds tables of this one."""
    return pa.schema([(field.name, _stored_type(field, words)) for field in given])


def dressed(bare: pa.Table, schema: pa.Schema, words: Words) -> pa.Table:
    """Give a table that waited as a shelf of this schema holds it, in one chunk."""
    columns = [
        pa.DictionaryArray.from_arrays(column.combine_chunks(), words[name])
        if schema.field(name).type == CODES
        else column.cast(schema.field(name).type)
        for name, column in zip(bare.column_names, bare.columns, strict=True)
    ]
    return pa.table(columns, schema=schema).combine_chunks()


def to_frame(table: pa.Table, domains: Domains) -> pl.DataFrame:
    """Give a table read from a shelf to polars; raises when its codes are not those of the manifest's domain."""
    return pl.DataFrame([_series(name, table.column(name), domains) for name in table.column_names])


def enums(schema: pa.Schema, domains: Domains) -> dict[str, pl.Enum]:
    """Give the columns of a shelf that come as one of a domain's words."""
    return {
        field.name: _domain(tuple(domains.get(field.name, ())))[1]
        for field in schema
        if pa.types.is_dictionary(field.type)
    }


def code_schema(schema: pa.Schema, domains: Domains) -> pl.Schema:
    """Give the polars schema of a shelf, without reading a row, where such columns come as codes."""
    codes = {name: _domain(tuple(domains.get(name, ())))[2] for name in enums(schema, domains)}
    others = [field for field in schema if field.name not in codes]
    kinds = to_frame(pa.schema(others).empty_table(), {}).schema
    return pl.Schema({name: codes.get(name) or kinds[name] for name in schema.names})


def _stored(name: str, column: pa.ChunkedArray, words: pa.Array | None) -> pa.ChunkedArray:
    if words is not None:
        return _coded_column(name, column, words)
    return column.cast(TEXT) if _is_text(column.type) else column


def _stored_type(field: pa.Field, words: Words) -> pa.DataType:
    if not _is_text(field.type):
        return field.type
    return CODES if field.name in words else TEXT


def _bare(name: str, column: pa.ChunkedArray, words: pa.Array | None) -> pa.ChunkedArray:
    if words is not None and _is_text(column.type):
        coded = _coded_column(name, column, words)
        return pa.chunked_array([chunk.indices for chunk in coded.chunks], CODES.index_type)
    # Forms of text that cannot be cut into pieces or put together as they are
    if pa.types.is_dictionary(column.type) or column.type == pa.string_view():
        return column.cast(TEXT)
    return column


def _coded_column(name: str, column: pa.ChunkedArray, words: pa.Array) -> pa.ChunkedArray:
    """Give a column of a declared domain as codes; one that holds no text as it is."""
    if not _is_text(column.type) or _coded(column, words):
        return column
    text = column.cast(TEXT)
    codes = pc.index_in(text, value_set=words.cast(TEXT))
    if codes.null_count != text.null_count:
        raise VaultUsage("code_outside_domain", f"{name} holds a value outside its domain.", column=name)
    chunks = [pa.DictionaryArray.from_arrays(chunk, words) for chunk in codes.chunks]
    return pa.chunked_array(chunks, type=CODES)


def _coded(column: pa.ChunkedArray, words: pa.Array) -> bool:
    """Tell whether a column is held as codes into this very domain already."""
    return column.type == CODES and all(chunk.dictionary.equals(words) for chunk in column.chunks)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _series(name: str, column: pa.ChunkedArray, domains: Domains) -> pl.Series:
    if not pa.types.is_dictionary(column.type):
        return cast("pl.Series", pl.from_arrow(column, rechunk=False)).alias(name)
    words, kind, _ = _domain(tuple(domains.get(name, ())))
    if any(chunk.null_count < len(chunk) and not chunk.dictionary.equals(words) for chunk in column.chunks):
        raise VaultDamaged(
            "shelf_domain_mismatch",
            f"The codes of {name} are not those of its manifest's domain.",
            column=name,
        )
    codes = pa.chunked_array([chunk.indices for chunk in column.chunks], pa.int32())
    return cast("pl.Series", pl.from_arrow(codes, rechunk=False)).cast(kind).alias(name)


@lru_cache(maxsize=256)
def _domain(domain: tuple[str, ...]) -> tuple[pa.Array, pl.Enum, pl.DataType]:
    """Make a domain's forms, and the type of its codes, once: a version has many parts, and each would anew."""
    kind = pl.Enum(domain)
    return pa.array(domain, pa.string()), kind, pl.Series([], dtype=kind).to_physical().dtype
