"""opendp's own Context path over the same table: rows of a unit truncated by its identifier, keys given, the same rho.

Its scale can be searched, as a user of the Context does, or given, as somebody who knows that rho goes with 1/scale**2 can do.
"""

from collections.abc import Iterator
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from anonymisation.bounds import UNIT
from benchmarks.privacy.claims import claim, timed
from benchmarks.privacy.made_up import (
    COUNT,
    DEPARTMENTS,
    GROUPS,
    KEPT,
    MEAN,
    OLDEST,
    RHO_MICRO,
    SUM,
    answered,
    ours,
    question,
)

RHO = RHO_MICRO / 1e6
RUNS = 50
UTILITY_ROWS = 200_000
Floats = NDArray[np.float64]


class ByOpendp:
    """One table in opendp's hands, asked for count and sum by department."""

    def __init__(self, data: pl.DataFrame) -> None:
        import opendp.prelude as dp

        dp.enable_features("contrib")
        self._dp = dp
        self._frame = data.with_columns(pl.col("dept").cast(pl.String)).lazy()
        self._keys = pl.LazyFrame({"dept": list(DEPARTMENTS)})
        self._margins = [dp.polars.Margin(by=[pl.col("dept")], max_length=data.height, max_groups=GROUPS)]

    def query(self) -> Any:
        """Write the query as the Context's users do."""
        dp = self._dp
        context = dp.Context.compositor(
            data=self._frame,
            privacy_unit=dp.unit_of(contributions=1, identifier=pl.col(UNIT)),
            privacy_loss=dp.loss_of(rho=RHO),
            split_evenly_over=1,
            margins=self._margins,
        )
        sums = [
            dp.len(signed=True).alias("n"),
            pl.col("age").fill_null(0).dp.sum((0, OLDEST)).alias("s"),
        ]
        return context.query().truncate_per_group(KEPT).group_by("dept").agg(sums).with_keys(self._keys)

    def searched(self) -> pl.DataFrame:
        """Release as a user does: the scale is found by search."""
        found: pl.DataFrame = self.query().release().collect()
        return found

    def with_scale(self) -> Any:
        """Give a function that builds the measurement with its scale stated and releases it: no search."""
        dp = self._dp
        written = self.query()
        plan, chain = (object.__getattribute__(written, name) for name in ("polars_plan", "_query"))
        domain, metric = chain._chain  # noqa: SLF001 - the library has no public way to state the scale

        def made(scale: float) -> Any:
            return dp.m.make_private_lazyframe(domain, metric, chain._output_measure, plan, scale)  # noqa: SLF001

        scale = sqrt(made(1.0).map(chain._d_in) / RHO)  # noqa: SLF001

        def released() -> pl.DataFrame:
            found: pl.DataFrame = made(scale)(self._frame).collect()
            return found

        assert made(scale * (1 + 1e-9)).map(chain._d_in) <= RHO  # noqa: SLF001
        return released


def speed(data: pl.DataFrame, size: str, rounds: int = 7) -> Iterator[bool]:
    """Claims: how many times faster we answer."""
    theirs, asked = ByOpendp(data), question((COUNT, SUM))
    stated = theirs.with_scale()
    told = f"count and sum by 20 groups of {size} rows: times faster"
    faster = [timed(stated) / ours(data, asked) for _ in range(rounds + 1)][1:]
    yield claim(told, faster, 10, "opendp by identifier, scale stated", at_least=True)
    faster = [timed(theirs.searched) / ours(data, asked) for _ in range(rounds)]
    yield claim(told, faster, 20, "opendp by identifier, scale search counted", at_least=True)


def utility(data: pl.DataFrame, name: str) -> Iterator[bool]:
    """Claims: our relative error over opendp's at the same rho and bounds, against the exact figures of all rows."""
    stated = ByOpendp(data).with_scale()
    exact = data.group_by("dept").agg(n=pl.len(), s=pl.col("age").sum()).sort(pl.col("dept").cast(pl.String))
    count, total = (exact[column].to_numpy().astype(float) for column in ("n", "s"))
    truth = {"count": count, "sum": total, "mean": total / count}
    theirs = [_theirs(stated(), truth) for _ in range(RUNS)]
    for title, ask in (("count", (COUNT, SUM)), ("sum", (COUNT, SUM)), ("mean", (MEAN,))):
        own = [_ours(data, ask, title, truth) for _ in range(RUNS)]
        other = [each[title] for each in theirs]
        ratio = fmean(own) / fmean(other)
        allowed = 2 * ratio * sqrt(_squared_error(own) + _squared_error(other))
        yield claim(
            f"relative error of a {title} by 20 groups, {name}: ours over opendp's",
            [ratio],
            round(1 + allowed, 4),
            f"opendp at the same rho and bounds, mean of {RUNS} runs each, ours {fmean(own):.5f}, opendp's {fmean(other):.5f}; "
            "the target is 1 and two standard errors of this ratio",
            rounds=RUNS,
        )


def _squared_error(values: list[float]) -> float:
    return stdev(values) ** 2 / len(values) / fmean(values) ** 2


def _relative(found: Floats, truth: Floats) -> float:
    return float((np.abs(found - truth) / truth).mean())


def _theirs(released: pl.DataFrame, truth: dict[str, Floats]) -> dict[str, float]:
    """A mean is the ratio of the released sum and count: the same release tells all three."""
    told = released.sort("dept")
    count, total = (told[column].to_numpy().astype(float) for column in ("n", "s"))
    found = {"count": count, "sum": total, "mean": total / count}
    return {name: _relative(values, truth[name]) for name, values in found.items()}


def _ours(data: pl.DataFrame, ask: Any, title: str, truth: dict[str, Floats]) -> float:
    asked = {"count": "n", "sum": "s", "mean": "m"}[title]
    groups = answered(data, question(ask)).groups
    values = {str(keys[0]): told[asked].value for keys, told in groups}
    return _relative(np.array([values[dept] for dept in DEPARTMENTS], float), truth[title])
