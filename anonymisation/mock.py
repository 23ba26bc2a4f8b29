"""Made-up rows of a declared table, to write and try questions on: from the steward's declaration alone, at no privacy cost.

Nothing here can reach a shelf or an answer: domains, bounds and a seed go in, rows come out. Their shape (values gather
at the low end of their bounds, a few are missing) is the same for every dataset and says nothing about anybody.
"""

from collections.abc import Callable
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from anonymisation.bounds import UNIT, Column, Table, declared
from anonymisation.columns import RAW_LIMIT
from anonymisation.errors import BadQuestion

MOST_ROWS: Final = 10_000
MISSING_SHARE: Final = 0.02
LOW_END: Final = (1.0, 4.0)
"""Shape of a beta distribution that gathers at the low end, as durations and costs do."""
EPOCH: Final = date(1970, 1, 1)


def rows(table: Table, count: int, seed: int) -> pl.DataFrame:
    """Make `count` rows, sorted by unit, a unit holding at most the declared number; the same seed gives the same rows."""
    if not 1 <= count <= MOST_ROWS:
        raise BadQuestion("mock_rows", f"A mock has 1 to {MOST_ROWS} rows.", "Ask for fewer.", most=MOST_ROWS)
    rng = np.random.default_rng([seed, *table.dataset.encode()])
    made = {column.name: _missing(_MAKE[column.kind](column, count, rng), rng) for column in table.columns}
    return pl.DataFrame({UNIT: _units(table, count, rng), **made})


def as_columns(frame: pl.DataFrame) -> dict[str, list[Any]]:
    """Give made-up rows as JSON columns; dates are ISO text."""
    plain = frame.with_columns(pl.col(pl.Date).dt.to_string("%Y-%m-%d"))
    return plain.to_dict(as_series=False)


def _units(table: Table, count: int, rng: np.random.Generator) -> pl.Series:
    """Give the row's unit: 1 to K rows each, fewer more often."""
    sizes = np.minimum(rng.geometric(0.5, count), 1 if table.per_row else table.rows)
    return pl.Series(UNIT, np.repeat(np.arange(count, dtype=np.uint64), sizes)[:count])


def _missing(values: pl.Series, rng: np.random.Generator) -> pl.Series:
    lost = pl.Series(rng.random(len(values)) < MISSING_SHARE)
    return pl.select(pl.when(~lost).then(values)).to_series()


def _category(column: Column, count: int, rng: np.random.Generator) -> pl.Series:
    domain = list(column.domain or ())
    codes = rng.integers(0, len(domain), count)
    return pl.Series([domain[code] for code in codes], dtype=pl.Enum(domain))


def _integer(column: Column, count: int, rng: np.random.Generator) -> pl.Series:
    if column.domain is not None:
        return pl.Series([int(value) for value in rng.choice(list(column.domain), count)], dtype=pl.Int64)
    return pl.Series(_steps(column, count, rng), dtype=pl.Int64)


def _decimal(column: Column, count: int, rng: np.random.Generator) -> pl.Series:
    return pl.Series(_steps(column, count, rng) / 10.0**column.digits, dtype=pl.Float64)


def _steps(column: Column, count: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Give whole numbers of the column's last decimal, between its bounds."""
    low = declared(column.low, column.digits, column.name)
    high = declared(column.high, column.digits, column.name)
    least, most = low or 0, RAW_LIMIT if high is None else high
    return least + np.floor(rng.beta(*LOW_END, count) * (most - least + 1)).astype(np.int64)


def _date(column: Column, count: int, rng: np.random.Generator) -> pl.Series:
    low, high = (date.fromisoformat(bound or "2000-01-01") for bound in (column.low, column.high))
    days = rng.integers((low - EPOCH).days, (high - EPOCH).days + 1, count)
    return pl.Series(days, dtype=pl.Int32).cast(pl.Date)


def _boolean(_: Column, count: int, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.integers(0, 2, count).astype(bool))


_MAKE: Final[dict[str, Callable[[Column, int, np.random.Generator], pl.Series]]] = {
    "category": _category,
    "integer": _integer,
    "decimal": _decimal,
    "date": _date,
    "boolean": _boolean,
}
