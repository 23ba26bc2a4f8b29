"""A question run on made-up rows, exactly and for nothing: the same recodes, bounds, groups and estimates, without the noise."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from anonymisation import aggregate, budget, mock
from anonymisation.answer import Answer
from anonymisation.bounds import Table
from anonymisation.cell import Noisy
from anonymisation.estimate import cell
from anonymisation.plan import Plan, cells, fit, of_group
from anonymisation.question import Question, digest
from anonymisation.vectors import Vector
from anonymisation.words import Group

NO_NOISE: Final = 1e-6
"""A scale at which the noise of an integer is zero; intervals are then those of sampling alone."""
SEED: Final = b"made-up rows have no secret"
NOTHING: Final = {"rho_micro": 0, "epsilon": 0.0, "delta": 0.0}
WORDS: Final = {
    "fr": "Sur des données fictives, sans bruit : ces valeurs ne disent rien de personne.",
    "en": "On made-up data, without noise: these values say nothing about anybody.",
}


def rehearse(
    question: Question, table: Table, rows: int, seed: int, other: Table | None = None
) -> dict[str, Any]:
    """Give answer v1 of a question on made-up rows; raises `BadQuestion` where the real one would be refused.

    The made-up units of `other` are those of the table, as far as they go.
    """
    plan = fit(question, table, other)
    part, *others = [mock.rows(one, rows, seed).lazy() for one in (table, other) if one is not None]
    exact = aggregate.aggregate(plan, [part], SEED, others)
    answer = Answer(
        digest(question, other), table.dataset, table.version, table.unit, question.by,
        _groups(plan, question.rho_micro, exact), WORDS, 0, 0.0, 0.0,
        None if other is None else (other.dataset, other.version),
    )  # fmt: skip
    return {**answer.to_json(), "spent": NOTHING, "replayed": False, "mock": {"rows": rows, "seed": seed}}


def _groups(plan: Plan, rho_micro: int, exact: Mapping[Vector, aggregate.Integers]) -> tuple[Group, ...]:
    shares = {one.vector: replace(one, scale=NO_NOISE) for one in budget.split(plan, rho_micro)}
    values = {vector: exact[vector].reshape(plan.size, vector.width).tolist() for vector in shares}
    return tuple(
        (
            keys,
            {
                one.name: cell(one, {v: Noisy(tuple(values[v][place]), share) for v, share in shares.items()})
                for one in of_group(plan, keys)
            },
        )
        for place, keys in enumerate(cells(plan))
    )
