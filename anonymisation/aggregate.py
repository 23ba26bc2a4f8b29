"""The bounded exact aggregate over one part of a table; parts merge by adding, noise comes later and once.

Recode, filter, keep at most L groups and K rows of each unit, clip, add up per declared group. Which rows of a unit are kept depends
on that unit's rows and a secret seed only, never on another unit: adding or taking one unit away changes nothing else. No
key comes from the data: a declared group without rows is a zero, a row outside the declared groups is left out.
"""

import hmac
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from anonymisation import features
from anonymisation.bounds import UNIT
from anonymisation.errors import Damaged
from anonymisation.groups import combined
from anonymisation.plan import Plan, Vector
from anonymisation.vectors import GRID

Integers = NDArray[np.int64]
Units = NDArray[np.uint64]
Mask = NDArray[np.bool_]

# Parts worked on at once: polars and numpy let other threads run while they compute.
PART_THREADS: Final = 2
CODE: Final = "code"
VALUE_PREFIX: Final = "value:"
CHOICE_LABEL: Final = b"enclave bounding v1"
WITHIN_GROUP: Final = 2**32
"""Labels from here on draw the rows kept within a group; smaller ones draw the rows (0) and the groups (1 + code)."""


@dataclass(frozen=True)
class Exact:
    """Exact vectors of a part or of several, with the units they came from. It never leaves the engine."""

    vectors: dict[Vector, Integers]
    units: Units


def aggregate(
    plan: Plan, parts: Sequence[pl.LazyFrame], seed: bytes, others: Sequence[pl.LazyFrame] = ()
) -> dict[Vector, Integers]:
    """Give the exact bounded vectors of a whole table, with features from all parts of the other.

    Raises `Damaged` where a unit is torn or a bound does not hold.
    """
    taken = None if plan.features is None else features.gather(plan.features, others)
    return merge(plan, list(_worked_on(lambda part: exact(plan, part, seed, taken), parts))).vectors


def _worked_on(work: Callable[[pl.LazyFrame], Exact], parts: Sequence[pl.LazyFrame]) -> Iterator[Exact]:
    """Work on a few parts at once; the next is asked for when one is done, so that who gives them can stop it."""
    waiting: deque[Future[Exact]] = deque()
    with ThreadPoolExecutor(PART_THREADS) as pool:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) == PART_THREADS:
                yield waiting.popleft().result()
        yield from (one.result() for one in waiting)


def merge(plan: Plan, partials: Sequence[Exact]) -> Exact:
    """Add partial aggregates; parts hold whole units, which is checked."""
    units = np.concatenate([partial.units for partial in partials]) if partials else np.zeros(0, np.uint64)
    if len(partials) > 1 and _some_twice(units):
        raise Damaged(
            "unit_torn",
            "A privacy unit has rows in two parts of the table.",
            "Ingest the dataset version again.",
        )
    totals = {
        vector: sum(
            (partial.vectors[vector] for partial in partials),
            start=np.zeros(plan.size * vector.width, np.int64),
        )
        for vector in plan.vectors
    }
    return Exact(totals, units)


def _some_twice(units: Units) -> bool:
    """Tell whether a unit comes twice; to sort is many times quicker than `np.unique`, which hashes (numpy 2.4)."""
    ordered = np.sort(units)
    return bool((ordered[1:] == ordered[:-1]).any())


def exact(plan: Plan, part: pl.LazyFrame, seed: bytes, taken: pl.DataFrame | None = None) -> Exact:
    """Give the exact bounded vectors of one part; `taken` holds the features of its units, and may hold those of others."""
    if plan.features is not None and taken is not None:
        part = features.attached(plan.features, part, taken)
    try:
        frame = bounded(plan, rows(plan, part), seed)
        assert_bounds(plan, frame)
        vectors = dict(_totals(plan, frame))
    except pl.exceptions.PolarsError:  # its message may hold a value, so it goes no further
        raise Damaged(
            "shelf_mismatch",
            "The stored columns are not those declared.",
            "Ingest the dataset version again.",
        ) from None
    _assert_magnitudes(plan, vectors, frame)
    return Exact(vectors, _heads(_units(frame)))


def rows(plan: Plan, part: pl.LazyFrame) -> pl.DataFrame:
    """Give unit, group code and values of each row that passes the filter and has a declared group."""
    frame = part
    for name, expr in plan.lets:
        frame = frame.with_columns(expr.alias(name))
    if plan.where is not None:
        frame = frame.filter(plan.where)
    values = [expr.alias(VALUE_PREFIX + name) for name, expr in plan.values.items()]
    chosen = frame.select(pl.col(UNIT), combined(plan.keys).alias(CODE), *values)
    return chosen.filter(pl.col(CODE).is_not_null()).collect()


def bounded(plan: Plan, frame: pl.DataFrame, seed: bytes) -> pl.DataFrame:
    """Give the frame with at most L groups, then at most k rows in each, and then at most K rows of each unit."""
    units = _units(frame)
    _assert_whole(units)
    if plan.groups < min(plan.rows, plan.size):
        frame = _filter(frame, keep_groups(units, frame[CODE].to_numpy(), plan.groups, plan.size, seed))
    if plan.per_group < plan.rows:
        codes = frame[CODE].to_numpy()
        frame = _filter(frame, keep_rows_within(_units(frame), codes, plan.per_group, plan.size, seed))
    return _filter(frame, keep_rows(_units(frame), plan.rows, seed))


def _filter(frame: pl.DataFrame, keep: Mask) -> pl.DataFrame:
    return frame if keep.all() else frame.filter(pl.Series(keep))


def keep_rows(units: Units, limit: int, seed: bytes) -> Mask:
    """Choose `limit` rows of each unit: a window, from a secret start, around the circle of its rows.

    Each row of a unit is kept with the same probability over seeds, whatever order the rows are stored in.
    """
    starts, sizes = _runs(units)
    large = sizes > limit
    drawn = secret_choice(units[starts[large]], np.zeros(int(large.sum()), np.uint64), seed)
    return _window(starts, sizes, drawn, limit, units.size)


def keep_rows_within(units: Units, codes: NDArray[np.uint32], limit: int, groups: int, seed: bytes) -> Mask:
    """Choose `limit` rows of each unit in each of its groups, by a window of its own in each."""
    run = np.repeat(np.arange(_runs(units)[0].size), _runs(units)[1])
    pairs = run * groups + codes
    order = np.argsort(pairs, kind="stable")
    starts, sizes = _runs(pairs[order])
    first = order[starts[sizes > limit]]
    drawn = secret_choice(units[first], WITHIN_GROUP + codes[first].astype(np.uint64), seed)
    keep = np.empty(units.size, np.bool_)
    keep[order] = _window(starts, sizes, drawn, limit, units.size)
    return keep


def _window(starts: Integers, sizes: Integers, drawn: Units, limit: int, rows: int) -> Mask:
    """Keep `limit` rows of each longer stretch, from its drawn start on and around."""
    keep = np.ones(rows, np.bool_)
    large = sizes > limit
    begin, size = starts[large], sizes[large]
    offset = (drawn % size.astype(np.uint64)).astype(np.int64)
    place = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    keep[np.repeat(begin, size) + place] = (place + np.repeat(offset, size)) % np.repeat(size, size) < limit
    return keep


def keep_groups(units: Units, codes: NDArray[np.uint32], limit: int, groups: int, seed: bytes) -> Mask:
    """Choose `limit` groups of each unit: those that come first in a secret order of its own."""
    starts, sizes = _runs(units)
    run = np.repeat(np.arange(starts.size), sizes)
    pairs, place = np.unique(run * groups + codes, return_inverse=True)
    pair_run, pair_code = pairs // groups, pairs % groups
    drawn = secret_choice(units[starts][pair_run], 1 + pair_code.astype(np.uint64), seed)
    order = np.lexsort((drawn, pair_run))
    begin, size = _runs(pair_run)
    rank = np.empty(pairs.size, np.int64)
    rank[order] = np.arange(pairs.size) - np.repeat(begin, size)
    return np.asarray(rank[place] < limit, np.bool_)


def secret_choice(units: Units, labels: Units, seed: bytes) -> Units:
    """Give a pseudorandom number for each unit and label: one AES-256 block each, keyed by the seed."""
    blocks = np.empty((units.size, 2), np.uint64)
    blocks[:, 0], blocks[:, 1] = units, labels
    key = hmac.digest(seed, CHOICE_LABEL, "sha256")
    # Single blocks under a secret key are a pseudorandom permutation of the inputs, which is what is wanted here.
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305
    return np.frombuffer(encryptor.update(blocks.tobytes()), np.uint64)[::2]


def _totals(plan: Plan, frame: pl.DataFrame) -> Iterator[tuple[Vector, Integers]]:
    """Compute each row's terms first and add them up second: five times faster than both inside the groups."""
    terms = {vector: _terms(vector) for vector in plan.vectors if vector.kind not in {"units", "cells"}}
    named = {
        f"{place}:{cell}": term for place, own in enumerate(terms.values()) for cell, term in enumerate(own)
    }
    sums = frame.lazy().select(CODE, **named).group_by(CODE).agg(pl.all().sum()).collect()
    for place, vector in enumerate(terms):
        yield vector, _scatter(plan, sums[CODE], [sums[f"{place}:{cell}"] for cell in range(vector.width)])
    for vector in plan.vectors:
        if vector.kind == "units":
            yield vector, _distinct_units(plan, frame)
        if vector.kind == "cells":
            yield vector, _counted_cells(plan, vector, frame)


def _terms(vector: Vector) -> list[pl.Expr]:
    """What one row adds to the cells of its group; null adds nothing."""
    return _products(vector) if vector.kind == "moments" else [_term(vector)]


def _term(vector: Vector) -> pl.Expr:
    if vector.kind == "rows":
        return pl.lit(1, pl.Int64)
    value = pl.col(VALUE_PREFIX + vector.column)
    if vector.kind == "present":
        return value.is_not_null().cast(pl.Int64)
    term = value.clip(vector.low, vector.high) - vector.centre
    if vector.shift:
        term = term // 2**vector.shift
    return term * term if vector.kind == "squares" else term


def _products(vector: Vector) -> list[pl.Expr]:
    """Every product of two factors, the constant first; only rows in which none is null count."""
    factors = [pl.col(VALUE_PREFIX + name) for name in vector.factors]
    whole = pl.all_horizontal([factor.is_not_null() for factor in factors])
    held = [pl.when(whole).then(pl.lit(GRID, pl.Int64)), *(pl.when(whole).then(factor) for factor in factors)]
    return [left * right for left, right in combinations_with_replacement(held, 2)]


def _counted_cells(plan: Plan, vector: Vector, frame: pl.DataFrame) -> Integers:
    cell = pl.col(CODE).cast(pl.Int64) * vector.width + pl.col(VALUE_PREFIX + vector.column)
    found = frame.lazy().select(cell.alias(CODE)).collect()[CODE].drop_nulls().to_numpy()
    return np.bincount(found, minlength=plan.size * vector.width).astype(np.int64)


def _distinct_units(plan: Plan, frame: pl.DataFrame) -> Integers:
    counts = frame.lazy().select(UNIT, CODE).unique().group_by(CODE).agg(units=pl.len()).collect()
    return _scatter(plan, counts[CODE], [counts["units"]])


def _scatter(plan: Plan, codes: pl.Series, values: Sequence[pl.Series]) -> Integers:
    """Give the sums of each declared group, its cells side by side; a group without rows is a zero."""
    cells = np.zeros((plan.size, len(values)), np.int64)
    for place, column in enumerate(values):
        cells[codes.to_numpy(), place] = column.to_numpy()
    return cells.reshape(-1)


# --- asserted at run time -----------------------------------------------------------------------------------------------


def assert_bounds(plan: Plan, frame: pl.DataFrame) -> None:
    """Raise `bound_violated` where a unit still has more rows or groups than the question's price assumes."""
    _, sizes = _runs(_units(frame))
    within = sizes.size == 0 or int(sizes.max()) <= plan.rows
    if within and (plan.groups < min(plan.rows, plan.size) or plan.per_group < plan.rows):
        pairs = frame.lazy().group_by(UNIT, CODE).agg(rows=pl.len())
        most = pairs.group_by(UNIT).agg(groups=pl.len(), rows=pl.col("rows").max()).max().collect()
        within = (most["groups"][0] or 0) <= plan.groups and (most["rows"][0] or 0) <= plan.per_group
    if not within:
        _violated()


def _assert_magnitudes(plan: Plan, vectors: dict[Vector, Integers], frame: pl.DataFrame) -> None:
    """A sum of n terms, each at most M in size, is at most n*M in size; n rows fill at most n of a group's cells."""
    counts = np.bincount(frame[CODE].to_numpy(), minlength=plan.size)
    for vector, totals in vectors.items():
        sizes = np.abs(totals).reshape(plan.size, vector.width)
        most = sizes.sum(axis=1) if vector.kind == "cells" else sizes.max(axis=1)
        if (most > counts * vector.magnitude).any():
            _violated()


def _violated() -> None:
    raise Damaged(
        "bound_violated",
        "A bound that the price rests on does not hold after bounding.",
        "Stop and report it: nothing was answered.",
    )


def _assert_whole(units: Units) -> None:
    """The rows of a unit lie together; sorted rows do, and anything else is looked at closely."""
    if (units[1:] >= units[:-1]).all():
        return
    heads = _heads(units)
    if _some_twice(heads):
        raise Damaged(
            "unit_torn",
            "The rows of a privacy unit do not lie together.",
            "Ingest the dataset version again.",
        )


def _units(frame: pl.DataFrame) -> Units:
    column = frame[UNIT]
    if column.dtype != pl.UInt64 or column.null_count():
        raise Damaged(
            "unit_column_damaged",
            "The column of unit numbers is not what intake writes.",
            "Ingest the dataset version again.",
        )
    return column.to_numpy()


def _runs(units: Units | Integers) -> tuple[Integers, Integers]:
    """Give the start and the size of each stretch of equal values."""
    starts = (
        np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))
        if units.size
        else np.zeros(0, np.int64)
    )
    return starts, np.diff(np.append(starts, units.size))


def _heads(units: Units) -> Units:
    return units[_runs(units)[0]]
