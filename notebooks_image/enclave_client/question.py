"""A question as it is built: nothing is computed, sent or paid before `price`, `ask` or `collect`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from . import waiting
from .answer import Answer, MockAnswer
from .budget import project_cap
from .door import call
from .errors import EnclaveError, WrongType, no_such_column
from .expression import Column, Expression, Wire, col, column_names, joined, text
from .features import Feature, Features, feature, no_join
from .features import exists as exists_feature
from .language import PER_MILLION, say
from .price import ExpectedAccuracy, Price
from .statistics import Number, Statistic, column_name, count

if TYPE_CHECKING:
    from .dataset import Dataset

# A question pays this share of the project's whole budget unless told otherwise: fifty such questions fit.
DEFAULT_SHARE = Decimal("0.02")


@dataclass(frozen=True)
class Steps:
    """The steps shared by a table being prepared and a finished question."""

    dataset: Dataset
    where: Wire | None = None
    let: tuple[tuple[str, Wire], ...] = ()
    rows: int | None = None
    groups: int | None = None
    rows_per_group: int | None = None
    by: tuple[str, ...] = ()
    features: Features | None = None

    @property
    def known(self) -> list[str]:
        """Columns of the table and those named by `with_features` and `with_columns`."""
        taken = [] if self.features is None else self.features.names
        return [*self.dataset.column_names, *taken, *(name for name, _ in self.let)]

    def check(self, name: str) -> str:
        """Give the name back when the column exists; else name the closest one."""
        if name not in self.known:
            raise no_such_column(name, self.dataset.name, self.known)
        return name


class Selection:
    """A table with some steps applied: filter, with_columns, limit, group_by, then agg.

    Columns are attributes (`ds.age`) or items (`ds["age"]`); a method's name wins over a column's.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def filter(self, *conditions: Expression, **equal: str | int) -> Selection:
        """Keep the rows that meet every condition (`where` is the same); `sex="F"` is a short form."""
        short = [self[name] == value for name, value in equal.items()]
        where = self._steps.where
        for condition in (*conditions, *short):
            wire = self._known(condition).wire
            where = wire if where is None else joined("and", where, wire)
        return self._after(where=where)

    where = filter  # noqa: A003 - the method above, not the builtin

    def with_columns(self, **named: Expression) -> Selection:
        """Name a row-by-row computation (pandas' `assign`, dplyr's `mutate`)."""
        added = tuple((name, self._known(value).wire) for name, value in named.items())
        return self._after(let=(*self._steps.let, *added))

    assign = mutate = with_columns

    def with_features(self, other: Selection, **named: Feature | Statistic | Question) -> Selection:
        """Take what another dataset of the same population says of each unit, as columns of this one.

        `ds.with_features(labs.filter(labs.kind == "lactate"), tests=labs.count(), worst=labs.value.max())`; a dataset may take
        features of itself. The price is that of this dataset's question alone: one unit's rows, whatever its features.
        """
        if self._steps.features is not None:
            raise EnclaveError(
                "one_second_dataset",
                say(
                    "Une question prend un second jeu, pas deux.",
                    "A question takes one second dataset, not two.",
                ),
                say("Prenez toutes les caractéristiques en une fois.", "Take all features in one call."),
            )
        if not isinstance(other, Selection):
            raise no_join()
        taken = tuple((name, other._feature(value)) for name, value in named.items())
        return self._after(features=Features(other._steps, taken))

    def exists(self) -> Feature:
        """Say, of each unit, whether it has any of these rows; for `with_features`."""
        return exists_feature()

    def join(self, *_: object, **__: object) -> Selection:
        """Say what to write instead: rows of two datasets are not joined."""
        raise no_join()

    merge = left_join = inner_join = join

    def limit(
        self, *, rows: int | None = None, groups: int | None = None, rows_per_group: int | None = None
    ) -> Selection:
        """Bound what one privacy unit may contribute: at most `rows` rows in at most `groups` groups, so many in each.

        Smaller bounds mean less noise for the same price, and more rows left out.
        """
        steps = self._steps
        return self._after(
            rows=rows or steps.rows,
            groups=groups or steps.groups,
            rows_per_group=rows_per_group or steps.rows_per_group,
        )

    def group_by(self, *columns: Column | str) -> Selection:
        """Split by columns with declared values (`groupby` is the same); every declared value gets a row."""
        names = tuple(self._steps.check(column_name(column)) for column in columns)
        return self._after(by=(*self._steps.by, *names))

    groupby = group_by

    def agg(self, *asked: Statistic, **named: Statistic) -> Question:
        """Finish the question with the figures wanted (`summarise`, `summarize` are the same)."""
        figures = (*asked, *(_figure(figure).alias(name) for name, figure in named.items()))
        for figure in figures:
            for name in _figure(figure).columns:
                self._steps.check(name)
        return Question(self._steps, figures or (count(),))

    summarise = summarize = agg

    def count(self) -> Question:
        """Count rows (`size` is the same)."""
        return self.agg(count())

    size = count

    def value_counts(self, *columns: Column | str) -> Question:
        """Count rows by these columns."""
        return self.group_by(*columns).count()

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):  # IPython and copy look for hooks by such names
            raise AttributeError(name)
        return self._column(name)

    def __getitem__(self, asked: str | Expression) -> Any:
        return self.filter(asked) if isinstance(asked, Expression) else self._column(asked)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._steps.known]

    def _ipython_key_completions_(self) -> list[str]:
        return self._steps.known

    def __repr__(self) -> str:
        return describe(self._steps)

    def __len__(self) -> int:
        raise WrongType(
            "rows_stay_inside",
            say("Le nombre exact de lignes ne sort pas.", "The exact number of rows does not leave."),
            say("Demandez-le : .count().ask()", "Ask for it: .count().ask()"),
        )

    def __bool__(self) -> bool:
        return True

    def _feature(self, value: object) -> Feature:
        found = feature(value, self._steps)
        for name in found.columns:
            self._steps.check(name)
        return found

    def _column(self, name: str) -> Expression:
        self._steps.check(name)
        declared = self._steps.dataset.described(name)
        return col(name) if declared is None else declared

    def _known(self, value: object) -> Expression:
        """Refuse what is not an expression over columns this table has."""
        if not isinstance(value, Expression):
            raise WrongType(
                "not_a_condition",
                say(
                    f"Il faut une expression sur des colonnes, pas un objet {type(value).__name__}.",
                    f"An expression over columns is needed, not a {type(value).__name__}.",
                ),
                say('Par exemple : ds.filter(ds.sex == "F")', 'For example: ds.filter(ds.sex == "F")'),
            )
        for name in column_names(value.wire):
            self._steps.check(name)
        return value

    def _after(self, **change: Any) -> Selection:
        return Selection(replace(self._steps, **change))


@dataclass(frozen=True)
class Question:
    """A finished question: see its `price()`, then `ask()` it."""

    steps: Steps
    figures: tuple[Statistic, ...]

    def to_json(self, rho_micro: int) -> dict[str, Any]:
        """Give the question as it travels, version 1."""
        steps = self.steps
        taken = {} if steps.features is None else {"features": steps.features.wire()}
        within = {} if steps.rows_per_group is None else {"rows_per_group": steps.rows_per_group}
        return {
            "v": 1,
            "dataset": steps.dataset.name,
            **taken,
            "where": steps.where,
            "let": [{"name": name, "expr": wire} for name, wire in steps.let],
            "unit": {
                "rows": steps.rows or steps.dataset.rows,
                "groups": steps.groups or steps.dataset.groups,
                **within,
            },
            "by": list(steps.by),
            "ask": [figure.wire() for figure in self.figures],
            "rho_micro": rho_micro,
        }

    def price(self, *, rho: Number | None = None, share: Number | None = None) -> Price:
        """Tell what it would cost and how accurate it would be: free, and the same whatever the data."""
        cap = project_cap(self.steps.dataset.population)
        question = self.to_json(rho_micro(rho, share, cap))
        return Price(call("POST", "price", {"question": question}), cap)

    def expected_accuracy(
        self, *, rho: Number | None = None, share: Number | None = None
    ) -> ExpectedAccuracy:
        """Tell what 95 % of the noise of each figure will lie within: free, and the same whatever the data."""
        return self.price(rho=rho, share=share).expected

    def on_mock(self, rows: int = 1000, seed: int = 0) -> MockAnswer:
        """Run the question exactly, without noise, on made-up rows: to develop with. Free, and no data is read."""
        asked = {"question": self.to_json(PER_MILLION), "rows": rows, "seed": seed}
        return MockAnswer(call("POST", "mock", asked), self.steps.by)

    def ask(self, *, rho: Number | None = None, share: Number | None = None) -> Answer:
        """Pay and get the answer. Without a price it takes 2 % of the project's budget.

        `rho` is the privacy loss (zero-concentrated differential privacy); `share` is a part of the
        project's budget, such as 0.05. The same question at the same price is answered again for free.
        Interrupting the cell cancels the question; what was reserved for it stays spent.
        """
        cap = project_cap(self.steps.dataset.population) if rho is None else 0
        question = self.to_json(rho_micro(rho, share, cap))
        return Answer(waiting.ask(question), self.steps.by)

    collect = ask

    def __repr__(self) -> str:
        asked = ", ".join(figure.name for figure in self.figures)
        how = say(
            "rien n'est encore dépensé : .price() puis .ask()", "nothing is spent yet: .price() then .ask()"
        )
        return f"{describe(self.steps)}.agg({asked})\n{how}"


def describe(steps: Steps) -> str:
    """Write the steps the way they were typed."""
    line = steps.dataset.name
    if steps.features is not None:
        other, names = describe(steps.features.steps), ", ".join(steps.features.names)
        line += f".with_features({other}, {names})"
    line += "".join(f".with_columns({name}={text(wire)})" for name, wire in steps.let)
    if steps.where is not None:
        line += f".filter({text(steps.where)})"
    bounds = {"rows": steps.rows, "groups": steps.groups, "rows_per_group": steps.rows_per_group}
    said = ", ".join(f"{name}={bound}" for name, bound in bounds.items() if bound)
    line += f".limit({said})" if said else ""
    return line + (f".group_by({', '.join(steps.by)})" if steps.by else "")


def rho_micro(rho: Number | None, share: Number | None, cap_rho_micro: int) -> int:
    """Turn the price offered into integer micro-rho; an explicit rho is rounded up, a share down."""
    if rho is not None:
        offered = int((Decimal(str(rho)) * PER_MILLION).to_integral_value(ROUND_CEILING))
    else:
        part = Decimal(str(share)) if share is not None else DEFAULT_SHARE
        offered = int((part * cap_rho_micro).to_integral_value(ROUND_FLOOR))
    if offered < 1:
        raise EnclaveError(
            "price_not_positive",
            say("Une question a un prix, plus grand que zéro.", "A question has a price above zero."),
            say(
                "Par exemple .ask(rho=0.01) ou .ask(share=0.02)",
                "For example .ask(rho=0.01) or .ask(share=0.02)",
            ),
        )
    return offered


def _figure(figure: object) -> Statistic:
    if isinstance(figure, Statistic):
        return figure
    raise WrongType(
        "not_a_statistic",
        say(
            f".agg() attend des statistiques, pas un objet {type(figure).__name__}.",
            f".agg() takes statistics, not a {type(figure).__name__}.",
        ),
        say(
            'Par exemple : enclave.count(), enclave.mean("age", 0, 110)',
            'For example: enclave.count(), enclave.mean("age", 0, 110)',
        ),
    )
