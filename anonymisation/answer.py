"""A question's price before it runs, and its answer: bounded, summed, noised once, and told in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from anonymisation import aggregate, budget, noise
from anonymisation.bounds import Table
from anonymisation.budget import DELTA, Accuracy, Share
from anonymisation.cell import Cell, Noisy, Told
from anonymisation.errors import AnonymisationError
from anonymisation.estimate import cell
from anonymisation.plan import Plan, cells, fit, of_group
from anonymisation.question import Question, digest
from anonymisation.vectors import Vector
from anonymisation.words import Group, words

__all__ = ["Answer", "Price", "compute", "price", "words"]


@dataclass(frozen=True)
class Price:
    """What a question costs and how exact its answer will be; the same whatever the data holds."""

    rho_micro: int
    epsilon: float
    delta: float
    accuracy: tuple[Accuracy, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the price as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """A noisy answer; nothing in it is exact, so it may be shown, kept and replayed."""

    question_sha256: str
    dataset: str
    dataset_version: int
    unit: str
    by: tuple[str, ...]
    groups: tuple[Group, ...]
    words: dict[str, str]
    rho_micro: int
    epsilon: float
    delta: float
    features: tuple[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Give answer v1 as plain JSON values, without what the ledger and the trail add."""
        return {
            "question_sha256": self.question_sha256,
            "dataset": self.dataset,
            "dataset_version": self.dataset_version,
            "unit": self.unit,
            "by": list(self.by),
            "rows": [self._row(keys, row) for keys, row in self.groups],
            "words": dict(self.words),
        } | self._features()

    def _features(self) -> dict[str, Any]:
        """Name the second dataset and its version, where there is one."""
        if self.features is None:
            return {}
        return {"features": {"dataset": self.features[0], "dataset_version": self.features[1]}}

    def _row(self, keys: Sequence[str | int | bool], row: Mapping[str, Told]) -> dict[str, Any]:
        return dict(zip(self.by, keys, strict=True)) | {name: _plain(told) for name, told in row.items()}


def _plain(told: Told) -> dict[str, Any]:
    if isinstance(told, Cell):
        return asdict(told)
    cells = [{"at": dict(at), **asdict(each)} for at, each in told.cells]
    return {"cells": cells} | ({"repaired": True} if told.repaired else {})


def price(question: Question, table: Table, other: Table | None = None) -> Price:
    """Give the price and expected accuracy; free, and a function of the question and of what was declared alone."""
    return _priced(question, table, other)[2]


def compute(
    question: Question,
    table: Table,
    parts: Sequence[pl.LazyFrame],
    seed: bytes,
    other: Table | None = None,
    others: Sequence[pl.LazyFrame] = (),
) -> Answer:
    """Answer a question that has been paid for; `seed` is the table's secret for choosing which rows of a unit are kept.

    `other` and `others` are the table and the parts that the question's features are of.
    """
    plan, shares, cost = _priced(question, table, other)
    groups = _noisy_groups(plan, shares, aggregate.aggregate(plan, parts, seed, others))
    return Answer(
        question_sha256=digest(question, other),
        dataset=table.dataset,
        dataset_version=table.version,
        unit=table.unit,
        by=question.by,
        groups=groups,
        words=words(plan, table, groups),
        rho_micro=cost.rho_micro,
        epsilon=cost.epsilon,
        delta=cost.delta,
        features=None if other is None else (other.dataset, other.version),
    )


def _priced(
    question: Question, table: Table, other: Table | None = None
) -> tuple[Plan, dict[Vector, Share], Price]:
    plan = fit(question, table, other)
    shares = {share.vector: share for share in budget.split(plan, question.rho_micro)}
    rho_micro = sum(_charge(share) for share in shares.values())
    accuracy = tuple(budget.accuracy(statistic, shares) for statistic in plan.statistics)
    return plan, shares, Price(rho_micro, noise.epsilon(rho_micro), DELTA, accuracy)


def _charge(share: Share) -> int:
    """Charge the larger of two independent losses; refuse where they disagree by more than rounding."""
    own = budget.own_loss(share.sensitivity_squared, share.scale)
    charged = budget.charge(own, noise.loss(share.scale, share.sensitivity_squared))
    if charged > share.rho_micro:
        raise AnonymisationError(
            "price_disagrees",
            "The noise library sees a larger loss than our formula.",
            "Stop and report it: nothing was answered.",
        )
    return charged


def _noisy_groups(
    plan: Plan, shares: dict[Vector, Share], exact: dict[Vector, aggregate.Integers]
) -> tuple[Group, ...]:
    noisy = {
        vector: noise.add(exact[vector], share.scale).reshape(plan.size, vector.width).tolist()
        for vector, share in shares.items()
    }
    return tuple(
        (keys, _cells(plan, keys, {v: Noisy(tuple(noisy[v][place]), share) for v, share in shares.items()}))
        for place, keys in enumerate(cells(plan))
    )


def _cells(
    plan: Plan, keys: tuple[str | int | bool, ...], numbers: Mapping[Vector, Noisy]
) -> dict[str, Told]:
    return {statistic.name: cell(statistic, numbers) for statistic in of_group(plan, keys)}
