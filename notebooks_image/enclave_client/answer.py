"""An answer: words first, the table next, the technical figures one click deeper."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .budget import questions_only
from .errors import EnclaveError
from .figures import Figure, Line, figures, interval_name
from .language import language, loss, say
from .plots import draw
from .price import deeper, page
from .show import table, table_text

if TYPE_CHECKING:
    import polars as pl


class Answer:
    """Noisy values with their intervals. `.words`, `.rows`, `answer["name"]`, `.to_polars()`, `.plot()`."""

    def __init__(self, told: dict[str, Any], by: tuple[str, ...]) -> None:
        self._told = told
        self.by = by
        self.rows: list[dict[str, Any]] = told["rows"]
        self.replayed = bool(told["replayed"])
        self.rho_micro = int(told["spent"]["rho_micro"])
        self._figures = figures(self.rows, by)

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        return str(self._told["words"][language()])

    @property
    def figures(self) -> list[str]:
        """Names of the figures in the answer."""
        return list(self._figures)

    @property
    def left(self) -> dict[str, int]:
        """What is left of each cap, in micro-rho."""
        return {scope: int(value) for scope, value in self._told["left"].items()}

    def __getitem__(self, name: str) -> "pl.DataFrame":
        return self.to_polars(name)

    def _ipython_key_completions_(self) -> list[str]:
        return self.figures

    def to_polars(self, figure: str | None = None) -> "pl.DataFrame":
        """Give a polars frame: the groups, then each figure with its interval.

        A figure of several cells (quantiles, histogram, table, survival, regression) is a frame of its own: name it
        where the answer holds others.
        """
        import polars as pl

        return pl.DataFrame(self._flat(figure), infer_schema_length=None)

    def to_pandas(self, figure: str | None = None) -> Any:
        """Give a pandas frame."""
        pandas: Any = import_module("pandas")
        return pandas.DataFrame(self._flat(figure))

    def plot(self, figure: str | None = None, ax: Any = None) -> Any:
        """Draw one figure with its intervals; gives the matplotlib axes back."""
        chosen = self._figure(figure or self.figures[0])
        return draw(chosen, self._interval(chosen.lines), ax)

    def __repr__(self) -> str:
        return "\n".join([self.words, *(table_text(*one) for one, _ in self._tables()), *self._notes()])

    def _repr_html_(self) -> str:
        body = "".join(table(*one, muted) for one, muted in self._tables())
        return page(self.words, body, *self._notes())

    def _figure(self, name: str) -> Figure:
        if name not in self._figures:
            raise EnclaveError(
                "figure_unknown",
                say(f"Cette réponse n'a pas de « {name} ».", f"This answer has no '{name}'."),
                say("Il y a : ", "There is: ") + ", ".join(self.figures),
            )
        return self._figures[name]

    def _flat(self, figure: str | None) -> list[dict[str, Any]]:
        if figure is None and any(one.several for one in self._figures.values()) and len(self.figures) > 1:
            raise EnclaveError(
                "figure_needed",
                say("Cette réponse tient en plusieurs tableaux.", "This answer takes several tables."),
                say("Nommez-en un : ", "Name one: ") + ", ".join(self.figures),
            )
        chosen = list(self._figures.values()) if figure is None else [self._figure(figure)]
        records: list[dict[str, Any]] = [{} for _ in chosen[0].lines] if chosen else []
        for one in chosen:
            for record, flat in zip(records, one.flat(), strict=True):
                record.update(flat)
        return records

    def _tables(self) -> list[tuple[tuple[list[str], list[list[str]]], list[bool]]]:
        """Give the figures of one cell a group as one table, every other one as its own, and which lines are muted."""
        plain = [one for one in self._figures.values() if not one.several]
        wide = [self._wide(plain)] if plain else []
        return wide + [
            (one.table(self._interval(one.lines)), [line.cell.below_noise for line in one.lines])
            for one in self._figures.values()
            if one.several
        ]

    def _wide(self, plain: list[Figure]) -> tuple[tuple[list[str], list[list[str]]], list[bool]]:
        head = [*self.by, *(part for one in plain for part in (one.name, self._interval(one.lines)))]
        groups = list(zip(*(one.lines for one in plain), strict=True))
        lines = [
            [
                *(str(value) for _, value in cells[0].group),
                *(part for line in cells for part in line.cell.shown()),
            ]
            for cells in groups
        ]
        return (head, lines), [any(line.cell.below_noise for line in cells) for cells in groups]

    def _interval(self, lines: tuple[Line, ...]) -> str:
        return interval_name(lines)

    def _notes(self) -> list[str]:
        spent = self._told["spent"]
        free = say(
            "Réponse déjà payée, rendue gratuitement.", "Already paid for, given again free of charge."
        )
        left = say("reste du projet : ", "left to the project: ") + loss(self.left["project"])
        return [
            *([free] if self.replayed else []),
            *self._bounds_told(),
            *self._repaired(),
            f"{deeper(self.rho_micro, spent['epsilon'], spent['delta'])} · {left}",
            questions_only(),
        ]

    def _bounds_told(self) -> list[str]:
        """Say which share of the rows the bounds leave out, where the dataset has a profile."""
        dropped = self._told.get("dropped")
        return [str(dropped["words"][language()])] if dropped else []

    def _repaired(self) -> list[str]:
        if not any(one.repaired for one in self._figures.values()):
            return []
        return [
            say(
                "Les coefficients ont été rendus calculables malgré le bruit : pas d'intervalle, à prendre avec prudence.",
                "The coefficients were made computable despite the noise: no interval, take them with care.",
            )
        ]


class MockAnswer(Answer):
    """The exact answer of a question on made-up rows: to develop with, it says nothing about anybody."""

    def _interval(self, _: tuple[Line, ...]) -> str:
        return say("échantillon, sans bruit", "sampling, no noise")

    def _notes(self) -> list[str]:
        return [say("Données fictives : rien n'a été dépensé.", "Made-up data: nothing was spent.")]
