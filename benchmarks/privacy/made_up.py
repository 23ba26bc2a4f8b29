"""The table that speed and error are measured on, our question about it, and what an analyst would write in plain polars."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from anonymisation import answer
from anonymisation.bounds import UNIT, Column, Table
from anonymisation.question import Question, parse
from benchmarks.privacy.claims import timed

ROWS, PATIENTS, GROUPS, KEPT = 1_000_000, 100_000, 20, 20
OLDEST = 120
RHO_MICRO = 100_000
DEPARTMENTS = tuple(f"d{place:02}" for place in range(GROUPS))

TABLE = Table(
    "stays",
    1,
    "patients",
    "nir",
    "nip",
    (
        Column("dept", "category", DEPARTMENTS),
        Column("age", "integer", None, "0", str(OLDEST), never_null=True),
    ),
    KEPT,
    GROUPS,
)

COUNT, SUM, MEAN = (
    {"name": "n", "stat": "count"},
    {"name": "s", "stat": "sum", "column": "age"},
    {"name": "m", "stat": "mean", "column": "age"},
)
AVERAGES = (COUNT, SUM, MEAN)
QUARTILES = ({"name": "q", "stat": "quantile", "column": "age", "probs": ["0.25", "0.5", "0.75"]},)
HELD = pl.col("age").clip(0, OLDEST)
PLAIN_AVERAGES = (pl.len().alias("n"), HELD.sum().alias("s"), HELD.mean().alias("m"))
PLAIN_QUARTILES = tuple(HELD.quantile(prob).alias(f"q{prob}") for prob in (0.25, 0.5, 0.75))

Asks = Sequence[dict[str, object]]


@dataclass(frozen=True)
class Proof:
    """A receipt as the recorder would give it."""

    act: str
    objects: frozenset[str]
    event_id: str
    index: int = 1
    leaf_sha256: bytes = bytes(32)


def table(rows: int = ROWS, most: int | None = None) -> pl.DataFrame:
    """Ten stays a patient on average, few with many (none with more than `most`), sorted by unit as intake stores them."""
    draw = np.random.default_rng(7)
    patients = rows * PATIENTS // ROWS
    share = draw.gamma(1.0, size=patients)
    patient = np.sort(draw.choice(patients, rows, p=share / share.sum()).astype(np.uint64))
    dept = pl.Series(draw.integers(0, GROUPS, rows)).cast(pl.String).str.zfill(2)
    columns = {
        UNIT: patient * np.uint64(0x9E3779B97F4A7C15 >> 20),
        "dept": "d" + dept,
        "age": draw.integers(0, OLDEST + 1, rows),
    }
    made = pl.DataFrame(columns).with_columns(pl.col("dept").cast(pl.Categorical))
    return made if most is None else made.filter(by_run() < most)


def question(asks: Asks = AVERAGES, rho_micro: int = RHO_MICRO) -> Question:
    return parse({"v": 1, "dataset": "stays", "by": ["dept"], "ask": list(asks), "rho_micro": rho_micro})


def by_window() -> pl.Expr:
    """Number a unit's rows as an analyst would."""
    return pl.int_range(pl.len()).over(UNIT)


def by_run() -> pl.Expr:
    """Number a unit's rows the fastest way polars has on rows sorted by unit."""
    place = pl.int_range(pl.len())
    return place - pl.when(pl.col(UNIT).ne_missing(pl.col(UNIT).shift())).then(place).forward_fill()


def plain(data: pl.DataFrame, number: pl.Expr, statistics: Sequence[pl.Expr]) -> pl.DataFrame:
    """The same bounded aggregate in plain polars."""
    return data.lazy().filter(number < KEPT).group_by("dept").agg(statistics).collect()


def answered(data: pl.DataFrame, asked: Question) -> answer.Answer:
    """Answer as the engine does, on data that lies warm in memory."""
    return answer.compute(asked, TABLE, [data.lazy()], b"seed")


def ours(data: pl.DataFrame, asked: Question) -> float:
    """Give the seconds of an answer."""
    return timed(lambda: answered(data, asked))
