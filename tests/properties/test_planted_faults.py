"""Faults that the privacy layer might have are planted one by one, and every one is found by one of its tests.

A hunter is a test that passes on the honest code (that is asserted first); a fault is found where its hunter no longer does.
"""

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample

from anonymisation import (
    aggregate,
    answer,
    budget,
    columns,
    features,
    noise,
    plan,
    sensitivity,
    statistics,
)
from anonymisation.bounds import UNIT
from anonymisation.errors import AnonymisationError
from anonymisation.vectors import Vector
from tests.properties.losses import TIGHT, audit
from tests.properties.test_nothing_passes_but_noise import differs, handed_and_paid
from tests.properties.worlds import JOINED_WORLDS, WORLDS, joined_moves_too_far, moves_too_far
from tests.unit.anonymisation.question_tables import (
    LABS,
    SEED,
    STAYS,
    frame,
    labs,
    question,
    stays,
    taking,
)

Patch = pytest.MonkeyPatch
Fault = Callable[[Patch], None]
Draws = np.ndarray[Any, np.dtype[np.int64]]

# --- hunters --------------------------------------------------------------------------------------------------------------

SEARCH = settings(max_examples=3_000, deadline=None, derandomize=True, phases=[Phase.generate], database=None)
CELLS = 20_000
CHI_SQUARE_20_MILLIONTH = 65.43


def neighbours(patch: Patch) -> bool:
    """Search for a unit that moves an exact vector too far; the checks at run time are out of the way."""
    return _finds(patch, WORLDS, moves_too_far)


def neighbours_in_two_tables(patch: Patch) -> bool:
    """Search for a unit of two tables asked together that moves an exact vector too far."""
    patch.setattr(features, "assert_features", lambda *_: None)
    return _finds(patch, JOINED_WORLDS, joined_moves_too_far)


def _finds(patch: Patch, worlds: Any, too_far: Callable[[Any], bool]) -> bool:
    for check in ("assert_bounds", "_assert_magnitudes"):
        patch.setattr(aggregate, check, lambda *_: None)
    try:
        find(worlds, too_far, settings=SEARCH)
    except NoSuchExample:
        return False
    return True


def loss(_: Patch) -> bool:
    """Tell two neighbouring tables apart better than was paid for."""
    try:
        audits = [audit(TIGHT[name], 3_000) for name in ("count", "contingency")]
    except (
        AnonymisationError
    ) as error:  # the two computations of a loss are compared before anything is noised
        return error.code == "price_disagrees"
    return any(found.shown > found.claimed for found in audits)


def draws(_: Patch) -> bool:
    """Look at the noise itself: its shape, its middle, each cell apart, each call anew, and exact far beyond a double."""
    zeros, scale = np.zeros(CELLS, np.int64), 40.0
    drawn = noise.add(zeros, scale)
    far = np.full(4, 2**60 + 1, np.int64)
    return bool(
        _shape_is_off(drawn, scale)
        or abs(drawn.mean()) > 5 * scale / sqrt(CELLS)
        or abs((drawn[1:] * drawn[:-1]).mean()) > 5 * scale**2 / sqrt(CELLS)
        or (noise.add(zeros, scale) == drawn).all()
        or abs(noise.add(far, 0.001) - far).max() > 0
    )


def _shape_is_off(drawn: Draws, scale: float) -> bool:
    support = np.arange(-400, 401)
    mass = np.exp(-(support**2) / (2 * scale**2))
    mass /= mass.sum()
    cuts = np.searchsorted(np.cumsum(mass), np.arange(1, 21) / 21)
    expected = np.diff(np.concatenate([[0], np.cumsum(mass)[cuts], [1]])) * drawn.size
    observed = np.bincount(np.searchsorted(support[cuts], drawn), minlength=21)
    return bool(((observed - expected) ** 2 / expected).sum() > CHI_SQUARE_20_MILLIONTH)


def bill(_: Patch) -> bool:
    """Add up what the vectors of a question lose by their own scales, and compare with its price."""
    for rho_micro in (1_000, 33_333):
        asked = question(
            [{"name": name, **ask} for name, ask in TIGHT.items()], rho_micro=rho_micro, by=["dead"]
        )
        fitted, shares, price = answer._priced(asked, STAYS)
        lost = sum(
            fitted.sensitivity_squared(vector) / (2 * shares[vector].scale ** 2) for vector in fitted.vectors
        )
        if price.rho_micro < lost * 1e6 * (1 - 1e-9) or price.rho_micro > rho_micro:
            return True
    return False


def passage(_: Patch) -> bool:
    """Exchange the noise for numbers that know nothing of the data: then an answer knows nothing, and all was noised as paid."""
    name = "everything by department"
    handed, paid = handed_and_paid(name)
    return handed != paid or differs(name)


HOSTILE = {
    "empty": frame(),
    "one row": frame({}),
    "nothing recorded": frame(*[{"dept": None, "age": None, "cost": None, "dead": None, "weight": None}] * 3),
    "not numbers": frame(*[{UNIT: unit, "cost": float("nan"), "weight": float("inf")} for unit in range(9)]),
    "beyond the bounds": frame(*[{UNIT: unit, "age": 10**15, "cost": 1e300} for unit in range(9)]),
    "many": frame(*stays(1, 50), *stays(2, 50, dept="22", dead=True)),
}


def border(_: Patch) -> bool:
    """Ask everything of tables that differ in all they can: each is answered, in one shape, and tells no value of the data."""
    asked = question([{"name": name, **ask} for name, ask in TIGHT.items()], by=["dept"], rho_micro=90_000)
    shapes = set()
    for data in HOSTILE.values():
        try:
            told = answer.compute(asked, STAYS, [data.lazy()], SEED).to_json()
        except Exception:  # noqa: BLE001 - any is a refusal that depends on the data
            return True
        shapes.add(str(_shape(told)))
    return len(shapes) > 1 or _tells_a_value()


def _shape(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _shape(value) for name, value in told.items() if name not in {"words", "repaired"}}
    return [_shape(each) for each in told] if isinstance(told, list) else ""


SECRET = "184127645108946"
SECRETS = frame({}).with_columns(dept=pl.lit(SECRET))
DAMAGED = {
    "a column is gone": SECRETS.drop("age"),
    "a column is of another kind": SECRETS.with_columns(age=pl.struct("dept")),
}


def _tells_a_value() -> bool:
    asked = question([{"name": "m", "stat": "mean", "column": "age"}])
    for data in DAMAGED.values():
        try:
            answer.compute(asked, STAYS, [data.lazy()], SEED)
        except AnonymisationError as error:
            behind = "" if error.__suppress_context__ else error.__context__
            if SECRET in f"{error.message} {error.to_do} {error.params} {behind}":
                return True
    return False


ORDINARY = frame(*({"dept": dept, UNIT: unit} for unit in range(3) for dept in ("22", "29", "35", "56") * 5))


def at_run_time(_: Patch) -> bool:
    """Answer ordinary questions: a bound that does not hold is noticed before anything is said."""
    for unit in ({"rows": 4, "groups": 2}, {"rows": 4, "groups": 2, "rows_per_group": 2}):
        asked = question([{"name": "n", "stat": "count"}], by=["dept"], unit=unit)
        try:
            answer.compute(asked, STAYS, [ORDINARY.sort(UNIT).lazy()], SEED)
        except AnonymisationError as error:
            return error.code == "bound_violated"
    return False


JOINED = question(
    [
        {"name": "n", "stat": "count"},
        {"name": "s", "stat": "sum", "column": "total"},
        {"name": "w", "stat": "sum", "column": "worst"},
    ],
    features=taking(
        {"name": "total", "stat": "sum", "column": "value"},
        {"name": "worst", "stat": "max", "column": "value"},
    ),
    unit={"rows": 2},
    rho_micro=90_000,
)
LAB_RESULTS = [labs({"value": 1e6}, {}, {UNIT: 3, "value": -1e6}), labs({UNIT: 2}, {UNIT: 2, "value": None})]


def at_run_time_in_two_tables(_: Patch) -> bool:
    """Answer an ordinary question about two tables: a feature out of its bounds, or a unit with two of them, is noticed."""
    others = [one.lazy() for one in LAB_RESULTS]
    try:
        answer.compute(JOINED, STAYS, [ORDINARY.sort(UNIT).lazy()], SEED, LABS, others)
    except AnonymisationError as error:
        return error.code in {"bound_violated", "unit_torn"}
    return False


def by_hand(_: Patch) -> bool:
    """Compute features in plain Python, unit by unit, and compare the exact sums."""
    fitted = plan.fit(JOINED, STAYS, LABS)
    rows = frame(*({UNIT: unit} for unit in (1, 1, 2, 3, 4)))
    exact = aggregate.aggregate(fitted, [rows.lazy()], SEED, [one.lazy() for one in LAB_RESULTS])
    held: dict[int, list[int]] = {}
    for unit, value in pl.concat(LAB_RESULTS).select(UNIT, "value").iter_rows():
        held.setdefault(unit, []).extend([] if value is None else [round(min(max(value, -1), 20) * 10)])
    own = [held.get(unit, []) for unit in rows[UNIT]]
    sums = [
        rows.height,
        sum(min(max(sum(values), -40), 800) for values in own),
        sum(max(values) for values in own if values),
    ]
    found = []
    for one in fitted.statistics:
        first, *others = one.vectors
        middle = first.centre * int(exact[others[0]][0]) if first.centre else 0
        found.append(int(exact[first][0]) + middle)
    return found != sums


# --- faults ---------------------------------------------------------------------------------------------------------------


def replaced(module: Any, name: str, made: Callable[[Any], Any]) -> Fault:
    """Plant a fault that wraps one function of a module."""

    def plant(patch: Patch) -> None:
        patch.setattr(module, name, made(getattr(module, name)))

    return plant


def short(name: str) -> Fault:
    return replaced(sensitivity, name, lambda honest: lambda *args: honest(*args) * 0.75**2)


def term(change: Callable[[pl.Expr, Vector], pl.Expr], kind: str = "sum") -> Fault:
    """Change what one row adds."""
    return replaced(
        aggregate,
        "_term",
        lambda honest: (
            lambda vector: change(honest(vector), vector) if vector.kind == kind else honest(vector)
        ),
    )


def more(name: str, place: int) -> Fault:
    """Keep two rows or groups too many."""
    return replaced(
        aggregate,
        name,
        lambda honest: lambda *args: honest(*args[:place], args[place] + 2, *args[place + 1 :]),
    )


def rows_first(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Fault:
    """Change the rows of a part before they are bounded."""
    return replaced(aggregate, "rows", lambda honest: lambda *args: change(honest(*args)))


def sums_last(change: Callable[[Any], Any]) -> Fault:
    """Change the exact vectors before noise."""

    def made(honest: Any) -> Any:
        return lambda fitted, frame_: ((vector, change(total)) for vector, total in honest(fitted, frame_))

    return replaced(aggregate, "_totals", made)


def cells(change: Callable[[Any], Any]) -> Fault:
    return replaced(aggregate, "_counted_cells", lambda honest: lambda *args: change(honest(*args)))


def ranked_keys(honest: Any) -> Any:
    return lambda fitted, codes, values: honest(
        fitted, codes.rank("dense").cast(pl.UInt32) - 1 if len(codes) else codes, values
    )


def drawn(change: Callable[[Any, float, Any], Any]) -> Fault:
    """Change the noise: from the exact vector, the scale and the honest noisy vector."""
    return replaced(
        noise, "add", lambda honest: lambda exact, scale: change(exact, scale, honest(exact, scale))
    )


def seeded(exact: Any, scale: float, _: Any) -> Any:
    return exact + np.random.default_rng(7).normal(0, scale, exact.size).round().astype(np.int64)


def laplace(exact: Any, scale: float, _: Any) -> Any:
    return exact + np.random.default_rng().laplace(0, scale / sqrt(2), exact.size).round().astype(np.int64)


def as_doubles(exact: Any, _: float, noisy: Any) -> Any:
    return (exact.astype(float) + (noisy - exact)).astype(np.int64)


def first_cell_only(exact: Any, _: float, noisy: Any) -> Any:
    return np.concatenate([noisy[:1], exact[1:]])


def one_for_all(exact: Any, _: float, noisy: Any) -> Any:
    return exact + (noisy - exact)[0]


def last_vector_free(honest: Any) -> Any:
    def priced(*args: Any) -> Any:
        fitted, shares, price = honest(*args)
        return (
            fitted,
            shares,
            answer.Price(price.rho_micro - [*shares.values()][-1].rho_micro, *list(vars(price).values())[1:]),
        )

    return priced


def leaking(honest: Any) -> Any:
    def exact(fitted: Any, part: Any, seed: bytes) -> Any:
        try:
            return honest(fitted, part, seed)
        except AnonymisationError as error:
            raise AnonymisationError(error.code, f"{error.message} {part.collect().row(0)}") from None

    return exact


def refuse_few(honest: Any) -> Any:
    def rows(fitted: Any, part: Any) -> Any:
        found = honest(fitted, part)
        if found.height < 2:
            raise AnonymisationError("too_few_rows", "There are too few rows.")
        return found

    return rows


def narrower_on_the_way_out(honest: Any) -> Any:
    return lambda fitted, shares, exact: honest(
        fitted, {vector: replace(share, scale=share.scale / 2) for vector, share in shares.items()}, exact
    )


def one_vector_bare(kind: str) -> Callable[[Any], Any]:
    """Leave the noise off the vectors of one kind."""

    def made(honest: Any) -> Any:
        def groups(fitted: Any, shares: Any, exact: Any) -> Any:
            bare = [id(exact[vector]) for vector in shares if vector.kind == kind]
            add = noise.add
            with Patch.context() as patch:
                patch.setattr(noise, "add", lambda e, s: e.copy() if id(e) in bare else add(e, s))
                return honest(fitted, shares, exact)

        return groups

    return made


def noised_twice(honest: Any) -> Any:
    """Draw twice and give the middle of both: a price paid once."""

    def groups(fitted: Any, shares: Any, exact: Any) -> Any:
        add = noise.add
        with Patch.context() as patch:
            patch.setattr(noise, "add", lambda e, s: (add(e, s) + add(e, s)) // 2)
            return honest(fitted, shares, exact)

    return groups


def told_groups_only(honest: Any) -> Any:
    return lambda fitted, shares, exact: tuple(
        group
        for group, count in zip(honest(fitted, shares, exact), next(iter(exact.values())), strict=False)
        if count
    )


def gathered(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Fault:
    """Change the features of all units before they are joined."""
    return replaced(features, "gather", lambda honest: lambda *args: change(honest(*args)))


def of_all_rows(honest: Any) -> Any:
    def made(fitted: Any, part: Any) -> Any:
        found = honest(fitted, part)
        return found.with_columns(pl.exclude(UNIT).max())

    return made


def unclipped(honest: Any) -> Any:
    def made(asked: Any, scope: Any, table: Any) -> Any:
        found = honest(asked, scope, table)
        if "value" not in str(asked.column):
            return found
        read = {name: scope.column(asked.column).expr for name in found.read}
        return features.replace(found, read=read, of_unit=pl.col(next(iter(read))).max())

    return made


def joined_inside(honest: Any) -> Any:
    def attached(fitted: Any, part: Any, found: Any) -> Any:
        return honest(fitted, part, found).join(found.lazy().select(UNIT), on=UNIT, how="inner")

    return attached


def twice(honest: Any) -> Any:
    return lambda fitted, part: pl.concat([honest(fitted, part)] * 2)


def attached_twice(honest: Any) -> Any:
    return lambda fitted, part, found: pl.concat([honest(fitted, part, found)] * 2).sort(UNIT)


FAULTS: dict[str, tuple[Callable[[Patch], bool], Fault]] = {
    # the sensitivity
    "rows 25 % short": (neighbours, short("rows")),
    "terms 25 % short": (neighbours, short("scaled")),
    "units 25 % short": (neighbours, short("units")),
    "a bound per group taken for the whole": (
        neighbours,
        replaced(sensitivity, "rows", lambda _: lambda _most, _groups, _keys, per_group: per_group**2),
    ),
    "products priced as one cell": (
        neighbours,
        replaced(plan.Vector, "length_squared", lambda _: property(lambda self: self.magnitude**2)),
    ),
    # bounding
    "two rows too many": (neighbours, more("keep_rows", 1)),
    "two groups too many": (neighbours, more("keep_groups", 2)),
    "two rows too many in a group": (neighbours, more("keep_rows_within", 2)),
    "two rows too many, at run time": (at_run_time, more("keep_rows", 1)),
    "two groups too many, at run time": (at_run_time, more("keep_groups", 2)),
    "two rows too many in a group, at run time": (at_run_time, more("keep_rows_within", 2)),
    "choice depends on other units": (
        neighbours,
        replaced(
            aggregate,
            "secret_choice",
            lambda h: lambda units, labels, seed: h(units, labels + len(units), seed),
        ),
    ),
    "key from the data": (
        neighbours,
        replaced(aggregate, "bounded", lambda h: lambda p, f, _: h(p, f, str(f.height).encode())),
    ),
    "bounded in two halves of a unit": (
        neighbours,
        replaced(
            aggregate,
            "bounded",
            lambda h: (
                lambda p, f, seed: pl.concat(
                    [h(p, f.gather_every(2), seed), h(p, f.gather_every(2, 1), seed)]
                )
            ),
        ),
    ),
    "rows of the table limited": (neighbours, rows_first(lambda f: f.head(2))),
    "a row in two groups": (
        neighbours,
        replaced(
            aggregate, "bounded", lambda h: lambda *args: h(*args).select(pl.all().repeat_by(2).explode())
        ),
    ),
    # two tables asked together
    "a feature of another unit": (
        neighbours_in_two_tables,
        gathered(lambda f: f.sort(UNIT).with_columns(pl.exclude(UNIT).reverse())),
    ),
    "a feature of all units of the part": (
        neighbours_in_two_tables,
        replaced(features, "of_units", of_all_rows),
    ),
    "a unit without rows has what others have": (
        neighbours_in_two_tables,
        replaced(
            features,
            "attached",
            lambda h: (
                lambda fitted, part, found: h(fitted, part, found).with_columns(
                    pl.col("let:worst").fill_null(pl.col("let:worst").max())
                )
            ),
        ),
    ),
    "a feature of an unbounded value": (
        at_run_time_in_two_tables,
        replaced(features, "_derived", unclipped),
    ),
    "a feature of another unit, by hand": (
        by_hand,
        gathered(lambda f: f.sort(UNIT).with_columns(pl.col(UNIT).reverse())),
    ),
    "a unit with two rows of features": (
        at_run_time_in_two_tables,
        replaced(features, "of_units", twice),
    ),
    "the join doubles rows": (by_hand, replaced(features, "attached", attached_twice)),
    "the join drops rows": (by_hand, replaced(features, "attached", joined_inside)),
    # recodes and values
    "recode after bounding": (neighbours, term(lambda honest, _: honest * 2)),
    "clip forgotten": (neighbours, term(lambda _, vector: pl.col("value:" + vector.column))),
    "squares in full steps": (
        neighbours,
        term(lambda _, v: (pl.col("value:" + v.column).clip(v.low, v.high) - v.centre) ** 2, "squares"),
    ),
    "centre from the data": (
        neighbours,
        term(lambda honest, _: honest - honest.mean().round().cast(pl.Int64)),
    ),
    "missing filled from others": (
        neighbours,
        term(lambda honest, _: honest.fill_null(honest.max()).fill_null(0)),
    ),
    "products off the grid": (
        neighbours,
        replaced(
            statistics, "_on_grid", lambda _: lambda value, low, _high: (value - low).clip(-(2**25), 2**25)
        ),
    ),
    # groups and cells
    "keys from the data": (neighbours, replaced(aggregate, "_scatter", ranked_keys)),
    "small cells suppressed": (neighbours, sums_last(lambda total: np.where(np.abs(total) < 3, 0, total))),
    "shares of the total": (
        neighbours,
        sums_last(lambda total: total * 1000 // max(1, int(np.abs(total).sum()))),
    ),
    "running counts priced as counts": (neighbours, cells(np.cumsum)),
    "a row counted in two cells": (neighbours, cells(lambda counts: counts + np.roll(counts, 1))),
    "equal rows counted once": (
        neighbours,
        rows_first(lambda f: f.unique(maintain_order=True, subset=["code"])),
    ),
    # noise
    "scale 25 % short": (loss, replaced(budget, "scale_for", lambda h: lambda *args: h(*args) * 0.75)),
    "noise forgotten on empty cells": (loss, drawn(lambda exact, _, noisy: np.where(exact == 0, 0, noisy))),
    "noise 25 % narrow": (
        loss,
        drawn(lambda exact, _, noisy: exact + np.trunc((noisy - exact) * 0.75).astype(np.int64)),
    ),
    "an empty table without noise": (draws, drawn(lambda exact, _, noisy: noisy if exact.any() else exact)),
    "noise on the first cell only": (draws, drawn(first_cell_only)),
    "one noise for all cells": (draws, drawn(one_for_all)),
    "noise from a seed": (draws, drawn(seeded)),
    "noise of another law": (draws, drawn(laplace)),
    "noise 6 % narrow": (
        draws,
        drawn(lambda exact, _, noisy: exact + np.trunc((noisy - exact) * 0.94).astype(np.int64)),
    ),
    "noise one way only": (draws, drawn(lambda exact, _, noisy: exact + np.abs(noisy - exact))),
    "noisy values held above zero": (draws, drawn(lambda _exact, _scale, noisy: np.maximum(noisy, 0))),
    "noise in steps of ten": (draws, drawn(lambda exact, _, noisy: exact + (noisy - exact) // 10 * 10)),
    "noise added to doubles": (draws, drawn(as_doubles)),
    # the way from the sums to the answer
    "narrower noise than was paid for": (passage, replaced(answer, "_noisy_groups", narrower_on_the_way_out)),
    "products told without noise": (passage, replaced(answer, "_noisy_groups", one_vector_bare("moments"))),
    "cells told without noise": (passage, replaced(answer, "_noisy_groups", one_vector_bare("cells"))),
    "units told without noise": (passage, replaced(answer, "_noisy_groups", one_vector_bare("units"))),
    "the middle of two draws": (passage, replaced(answer, "_noisy_groups", noised_twice)),
    # the bill
    "last vector unpaid": (bill, replaced(answer, "_priced", last_vector_free)),
    "loss rounded down": (
        bill,
        replaced(budget, "charge", lambda _: lambda own, other: int(max(own, other) * budget.MICRO) - 1),
    ),
    "both losses four times short": (
        bill,
        lambda patch: (
            patch.setattr(
                budget,
                "own_loss",
                lambda squared, scale: budget.Fraction(squared) / (8 * budget.Fraction(scale) ** 2),
            ),
            patch.setattr(noise, "loss", lambda scale, squared: squared / (8 * scale**2)),
        )[0],
    ),
    # what is said
    "a refusal that repeats a row": (border, replaced(aggregate, "exact", leaking)),
    "a refusal of few rows": (border, replaced(aggregate, "rows", refuse_few)),
    "only the groups that occur are told": (border, replaced(answer, "_noisy_groups", told_groups_only)),
    "not a number breaks the reading": (
        border,
        replaced(
            columns,
            "_READ",
            lambda h: (
                h
                | {
                    "decimal": lambda c: columns.Number(
                        (pl.col(c.name) * 10**c.digits).cast(pl.Int64), c.digits, 0, 500_000
                    )
                }
            ),
        ),
    ),
}


@pytest.mark.parametrize(
    "hunter",
    [
        neighbours,
        neighbours_in_two_tables,
        loss,
        draws,
        bill,
        border,
        at_run_time,
        at_run_time_in_two_tables,
        by_hand,
    ],
    ids=lambda h: h.__name__,
)
def test_no_hunter_finds_a_fault_in_honest_code(hunter: Callable[[Patch], bool], monkeypatch: Patch) -> None:
    if hunter in {
        neighbours,
        neighbours_in_two_tables,
    }:  # the search over many worlds is a test of its own; a short one is enough here
        monkeypatch.setattr(f"{__name__}.SEARCH", settings(SEARCH, max_examples=100))
    assert not hunter(monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, monkeypatch: Patch) -> None:
    hunter, plant = FAULTS[fault]
    plant(monkeypatch)
    assert hunter(monkeypatch), f"{hunter.__name__} did not find: {fault}"


def test_there_are_forty_faults_and_more() -> None:
    assert len(FAULTS) >= 40
