"""Our answers against plain polars doing the same bounded aggregate, in the same rounds."""

from collections.abc import Iterator, Sequence

import polars as pl

from anonymisation import answer
from benchmarks.privacy.claims import claim, timed
from benchmarks.privacy.made_up import (
    AVERAGES,
    PLAIN_AVERAGES,
    PLAIN_QUARTILES,
    QUARTILES,
    TABLE,
    Asks,
    by_run,
    by_window,
    ours,
    plain,
    question,
)

WARM_UP = 2


def ratios(
    data: pl.DataFrame, number: pl.Expr, asks: Asks, statistics: Sequence[pl.Expr], rounds: int
) -> list[float]:
    """Give our time over plain polars', a ratio a round."""
    asked = question(asks)
    both = [
        ours(data, asked) / timed(lambda: plain(data, number, statistics)) for _ in range(rounds + WARM_UP)
    ]
    return both[WARM_UP:]


def aggregates(data: pl.DataFrame, rounds: int, size: str) -> Iterator[bool]:
    """Claims on one size of table."""
    asked = f"count, sum and mean by 20 groups of {size} rows, warm"
    quartiles = f"quartiles by 20 groups of {size} rows, warm"
    window, run = by_window(), by_run()
    plainly, tuned = (
        "plain polars, same bounded aggregate",
        "plain polars, the same hand-tuned for sorted rows",
    )
    yield claim(asked, ratios(data, window, AVERAGES, PLAIN_AVERAGES, rounds), 1.5, plainly)
    yield claim(asked, ratios(data, run, AVERAGES, PLAIN_AVERAGES, rounds), 4, tuned)
    yield claim(quartiles, ratios(data, window, QUARTILES, PLAIN_QUARTILES, rounds), 3, plainly)
    # A third of this is exact noise on 2,640 cells, whatever the rows.
    yield claim(quartiles, ratios(data, run, QUARTILES, PLAIN_QUARTILES, rounds), 6, tuned)


def growth(small: pl.DataFrame, large: pl.DataFrame, rounds: int = 3) -> list[float]:
    """Give our time on the large table over that on the small one."""
    return [ours(large, question()) / ours(small, question()) for _ in range(rounds + 1)][1:]


def prices(times: int = 150) -> list[float]:
    """Give the milliseconds of a price."""
    asked = question()
    return [1_000 * timed(lambda: answer.price(asked, TABLE)) for _ in range(times)]
