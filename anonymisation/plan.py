"""A question fitted to a table: its recodes, filter, declared groups, bounds, and the exact vectors its statistics need.

Everything here depends on the question and on what the steward declared, never on data; so a price does not either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Final

import polars as pl

from anonymisation import features, recodes, sensitivity
from anonymisation.bounds import Table
from anonymisation.errors import BadQuestion
from anonymisation.features import Features
from anonymisation.form import Question
from anonymisation.groups import MAX_GROUPS, Key, key, places
from anonymisation.recodes import Scope
from anonymisation.statistics import fitted
from anonymisation.vectors import Rate, Statistic, Vector

__all__ = ["MAX_CELLS", "MAX_GROUPS", "Key", "Plan", "Statistic", "Table", "Vector", "cells", "fit"]

MAX_CELLS: Final = 50_000
"""Noisy cells of one answer: exact noise takes about 30 microseconds a cell."""


@dataclass(frozen=True)
class Plan:
    """What is to be computed, and the bounds under which it is."""

    lets: tuple[tuple[str, pl.Expr], ...]
    where: pl.Expr | None
    keys: tuple[Key, ...]
    rows: int
    groups: int
    per_group: int
    statistics: tuple[Statistic, ...]
    values: dict[str, pl.Expr]
    features: Features | None = None

    @property
    def size(self) -> int:
        """The number of declared groups, 1 where nothing is grouped by."""
        return prod(len(key.values) for key in self.keys)

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """Each vector once, in the order first asked."""
        return tuple(dict.fromkeys(vector for statistic in self.statistics for vector in statistic.vectors))

    def sensitivity_squared(self, vector: Vector) -> int:
        """Give the squared L2 distance that one unit can move this vector by."""
        if vector.kind == "units":
            return sensitivity.units(self.rows, self.groups, self.size)
        counted = sensitivity.rows(self.rows, self.groups, self.size, self.per_group)
        return sensitivity.scaled(counted, vector.length_squared)


def fit(question: Question, table: Table, other: Table | None = None) -> Plan:
    """Fit a question to a table, and to the one its features are of; raises `BadQuestion` naming column, step and closest form."""
    if question.dataset != table.dataset:
        raise BadQuestion(
            "dataset_other", "The question is about another dataset than the one it was brought to."
        )
    scope, taken = Scope(table), None
    if question.features is not None:
        taken = features.fit(question.features, table, other)
        scope = features.named(taken, scope)
    scope, lets = recodes.lets(question.let, scope)
    where = None if question.where is None else recodes.condition(question.where, scope)
    keys = tuple(key(name, scope.column(name)) for name in question.by)
    found = [fitted(ask, scope) for ask in question.ask]
    values = {name: expr for each in found for name, expr in each.values.items()}
    asked = tuple(_by_group(each.statistic, question) for each in found)
    plan = Plan(lets, where, keys, *_unit_bounds(question, table), asked, values, taken)
    _check_size(plan)
    return plan


def _unit_bounds(question: Question, table: Table) -> tuple[int, int, int]:
    """Give the rows, the groups and the rows in a group that are kept of each unit; no bound is wider than the others imply."""
    if table.per_row:
        return 1, 1, 1
    rows, groups = question.unit.rows or table.rows, question.unit.groups or table.groups
    per_group = min(question.unit.rows_per_group or table.rows_per_group or rows, rows)
    return min(rows, groups * per_group), groups, per_group


def _by_group(statistic: Statistic, question: Question) -> Statistic:
    """Have a rate over public persons told by a category take each group's own, where the question groups by it."""
    rate = statistic.shape
    if not isinstance(rate, Rate) or not rate.split:
        return statistic
    if question.where is not None and ("col", rate.split) in _named(question.where):
        raise BadQuestion(
            "denominator_filtered",
            f"The rows are filtered by {rate.split}, the persons of the denominator are not.",
            f"Group by {rate.split} instead.",
            column=rate.split,
        )
    if rate.split not in question.by:
        return replace(statistic, shape=replace(rate, split="", persons_of=()))
    worst = max(
        rate.persons_of,
        key=lambda one: sum((w / n) ** 2 for w, n in zip(rate.weights, one[1], strict=True)),
    )
    return replace(statistic, shape=rate.of(worst[0]))


def _named(tree: object) -> Iterator[object]:
    """Give every part of an expression."""
    yield tree
    if isinstance(tree, tuple):
        for part in tree:
            yield from _named(part)


def of_group(plan: Plan, values: tuple[str | int | bool, ...]) -> Iterator[Statistic]:
    """Give the statistics as they are of one group: a rate's persons may be the group's own."""
    own = dict(zip((key.name for key in plan.keys), values, strict=True))
    for one in plan.statistics:
        rate = one.shape
        if isinstance(rate, Rate) and rate.split in own:
            yield replace(one, shape=rate.of(str(own[rate.split])))
        else:
            yield one


def _check_size(plan: Plan) -> None:
    if plan.size > MAX_GROUPS:
        raise BadQuestion(
            "too_many_groups",
            f"The declared groups multiply to more than {MAX_GROUPS}.",
            "Group by fewer or coarser columns.",
        )
    if plan.size * sum(vector.width for vector in plan.vectors) > MAX_CELLS:
        raise BadQuestion(
            "too_many_cells",
            f"The answer would hold more than {MAX_CELLS} noisy cells.",
            "Ask fewer statistics or coarser groups.",
        )


def cells(plan: Plan) -> Iterator[tuple[str | int | bool, ...]]:
    """Give the key values of each declared group, in the order of the vectors' cells."""
    shape = [len(key.values) for key in plan.keys]
    for index in range(plan.size):
        yield tuple(key.values[place] for key, place in zip(plan.keys, places(index, shape), strict=True))
