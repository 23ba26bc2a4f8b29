"""Made-up rows as a frame with the types the real columns have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .expression import Description

if TYPE_CHECKING:
    import polars as pl

UNIT = "_unit"


def mock_frame(columns: Mapping[str, Sequence[Any]], described: Sequence[Description]) -> pl.DataFrame:
    """Give the made-up columns as a polars frame; the privacy unit comes first."""
    import polars as pl

    unit = pl.Series(UNIT, columns[UNIT], dtype=pl.UInt64)
    return pl.DataFrame([unit, *(_series(columns[one.name], one) for one in described)])


def _series(values: Sequence[Any], about: Description) -> pl.Series:
    import polars as pl

    if about.kind == "category":
        return pl.Series(about.name, values, dtype=pl.Enum(list(about.domain or ())))
    if about.kind == "date":
        return pl.Series(about.name, values, dtype=pl.String).str.to_date()
    kinds: dict[str, Any] = {"integer": pl.Int64, "decimal": pl.Float64, "boolean": pl.Boolean}
    return pl.Series(about.name, values, dtype=kinds[about.kind])
