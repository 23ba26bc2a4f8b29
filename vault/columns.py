"""How columns are held on a shelf and handed to polars.

A column with a declared domain is held as codes into that domain, which the manifest lists; it comes back as a
polars Enum in the declared order. The file says which domain its codes stand for, so that no other is read into them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from vault.errors import VaultDamaged, VaultUsage

TEXT: Final = pa.large_string()
# Text that comes again and again (names, places): its words once, and their numbers. Read five times as quickly as text.
REPEATED: Final = pa.dictionary(pa.int32(), pa.string())
# Of so many rows at least, a word must come four times on average.
ENOUGH_ROWS: Final = 1000
COMES_AGAIN: Final = 4
# What a column of codes says in its file, beside its name and type: the SHA-256 of its domain.
DOMAIN: Final = b"domain"

Domains = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Domain:
    """The forms of a declared domain."""

    words: pa.Array
    kind: pl.Enum
    codes: pa.DataType  # as polars holds them, so that it takes them as they lie
    sha256: bytes


Words = Mapping[str, Domain]


@lru_cache(maxsize=256)
def _domain(words: tuple[str, ...]) -> Domain:
    """Make a domain's forms once: whoever opens a shelf needs them."""
    kind = pl.Enum(words)
    codes = pl.Series([], dtype=kind).to_physical().to_arrow().type
    sha256 = hashlib.sha256(orjson.dumps(words)).hexdigest().encode()
    return Domain(pa.array(words, pa.string()), kind, codes, sha256)


def domain_words(domains: Domains) -> Words:
    """Give the forms of each domain; raises for a value that is listed twice."""
    for name, domain in domains.items():
        if len(set(domain)) != len(domain):
            raise VaultUsage("domain_value_twice", f"The domain of {name} lists a value twice.", column=name)
    return {name: _domain(tuple(domain)) for name, domain in domains.items()}


def stored_schema(given: pa.Schema, words: Words) -> pa.Schema:
    """Give the schema of the shelf that holds tables of this one, in which any cell may be empty."""
    return pa.schema([_stored_field(field, words) for field in given])


def stored(table: pa.Table, words: Words) -> pa.Table:
    """Give a table's columns as a shelf holds them, but for texts, which stay in the form they came in where that can be cut.

    Raises where a value lies outside its domain.
    """
    columns = [_stored(name, table.column(name), words.get(name)) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def dressed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give rows as a shelf of this schema holds them, with no word in a dictionary that is in no row."""
    return pa.table([_dressed(table.column(field.name), field.type) for field in schema], schema=schema)


def comes_again(column: pa.ChunkedArray) -> bool:
    """Tell whether a text had better be stored as words and their numbers."""
    if not _is_text(column.type) or len(column) < ENOUGH_ROWS:
        return False
    return bool(pc.count_distinct(column.cast(TEXT)).as_py() * COMES_AGAIN <= len(column))


def to_frame(table: pa.Table) -> pl.DataFrame:
    """Give a table read from a shelf to polars, codes as codes."""
    return pl.DataFrame(
        [_series(column).alias(name) for name, column in zip(table.column_names, table.columns, strict=True)]
    )


@lru_cache(maxsize=256)
def frame_schema(schema: pa.Schema) -> pl.Schema:
    """Give the polars schema of a shelf, without reading a row, where words come as codes."""
    return to_frame(schema.empty_table()).schema


def enums(schema: pa.Schema, domains: Domains) -> dict[str, pl.Enum]:
    """Give the columns of a shelf that come as words of a domain.

    Raises `VaultDamaged` where a file's codes stand for another domain than the manifest's.
    """
    found = {}
    for field in schema:
        told = (field.metadata or {}).get(DOMAIN)
        if told is None:
            continue
        domain = _domain(tuple(domains.get(field.name, ())))
        if domain.sha256 != told:
            raise VaultDamaged(
                "shelf_domain_mismatch",
                f"The codes of {field.name} are not those of its manifest's domain.",
                column=field.name,
            )
        found[field.name] = domain.kind
    return found


def _dressed(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if kind == REPEATED:
        return column.cast(REPEATED.value_type).dictionary_encode()
    return column.cast(kind)


def _series(column: pa.ChunkedArray) -> pl.Series:
    if column.type != REPEATED or not column.num_chunks:
        plain = column.cast(TEXT) if column.type == REPEATED else column
        return cast("pl.Series", pl.from_arrow(plain, rechunk=False))
    # polars would make categories of them, which differ from part to part
    words = [
        pl.Series(pl.from_arrow(chunk.dictionary)).gather(pl.Series(pl.from_arrow(chunk.indices)))
        for chunk in column.chunks
    ]
    return pl.concat(words)


def _stored_field(field: pa.Field, words: Words) -> pa.Field:
    if not _is_text(field.type):
        return pa.field(field.name, field.type)
    domain = words.get(field.name)
    if domain is None:
        return pa.field(field.name, TEXT)
    return pa.field(field.name, domain.codes, metadata={DOMAIN: domain.sha256})


def _stored(name: str, column: pa.ChunkedArray, domain: Domain | None) -> pa.ChunkedArray:
    if domain is not None and _is_text(column.type):
        return _codes(name, column, domain).cast(domain.codes)
    # Forms of text that cannot be cut into pieces or put together as they are
    if pa.types.is_dictionary(column.type) or column.type == pa.string_view():
        return column.cast(TEXT)
    return column


def _codes(name: str, column: pa.ChunkedArray, domain: Domain) -> Any:
    """Give the places of a column's words in their domain."""
    if pa.types.is_dictionary(column.type) and all(
        chunk.dictionary.equals(domain.words) for chunk in column.chunks
    ):
        return pa.chunked_array([chunk.indices for chunk in column.chunks], column.type.index_type)
    text = column.cast(TEXT)
    codes = pc.index_in(text, value_set=domain.words.cast(TEXT))
    if codes.null_count != text.null_count:
        raise VaultUsage("code_outside_domain", f"{name} holds a value outside its domain.", column=name)
    return codes


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
