"""A noisy answer and a price: words first, the table next, the technical figures one click deeper."""

from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .budget import questions_only
from .errors import EnclaveError
from .language import language, loss, number, percent, say
from .show import table, table_text

if TYPE_CHECKING:
    import polars as pl

Cell = dict[str, Any]


class Price:
    """What a question would cost and how accurate it would be; nothing was spent."""

    def __init__(self, told: dict[str, Any], cap_rho_micro: int) -> None:
        self.rho_micro = int(told["rho_micro"])
        self.epsilon = float(told["epsilon"])
        self.delta = float(told["delta"])
        self.accuracy = {each["name"]: float(each["plus_minus"]) for each in told["accuracy"]}
        self.left_rho_micro = int(told["left"]["project"])
        self.cap_rho_micro = cap_rho_micro
        self._told = told

    @property
    def words(self) -> str:
        """Price and accuracy in one sentence."""
        wide = ", ".join(_width(each) for each in self._told["accuracy"])
        cost = percent(self.rho_micro, self.cap_rho_micro)
        left = percent(max(self.left_rho_micro - self.rho_micro, 0), self.cap_rho_micro)
        return say(
            f"Coûterait {cost} du budget du projet, il en resterait {left} ; précision attendue : {wide}.",
            f"Would cost {cost} of the project's budget, leaving {left}; expected accuracy: {wide}.",
        )

    def __repr__(self) -> str:
        return f"{self.words}\n{_deeper(self.rho_micro, self.epsilon, self.delta)}\n{questions_only()}"

    def _repr_html_(self) -> str:
        return _html(self.words, "", _deeper(self.rho_micro, self.epsilon, self.delta), questions_only())


class Answer:
    """Noisy values with their intervals. `.words`, `.rows`, `.to_polars()`, `.plot()`."""

    def __init__(self, told: dict[str, Any], by: tuple[str, ...]) -> None:
        self._told = told
        self.by = by
        self.rows: list[dict[str, Any]] = told["rows"]
        self.replayed = bool(told["replayed"])
        self.rho_micro = int(told["spent"]["rho_micro"])

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        return str(self._told["words"][language()])

    @property
    def figures(self) -> list[str]:
        """Names of the figures in the answer."""
        return [name for name, cell in self.rows[0].items() if _is_cell(cell)] if self.rows else []

    @property
    def left(self) -> dict[str, int]:
        """What is left of each cap, in micro-rho."""
        return {scope: int(value) for scope, value in self._told["left"].items()}

    def to_polars(self) -> "pl.DataFrame":
        """Give a polars frame: the groups, then each figure with its interval."""
        import polars as pl

        return pl.DataFrame([_flat(row) for row in self.rows])

    def to_pandas(self) -> Any:
        """Give a pandas frame."""
        pandas: Any = import_module("pandas")
        return pandas.DataFrame([_flat(row) for row in self.rows])

    def plot(self, figure: str | None = None, ax: Any = None) -> Any:
        """Draw one figure with its interval as error bars; gives the matplotlib axes back."""
        name = figure or self.figures[0]
        if name not in self.figures:
            raise EnclaveError(
                "figure_unknown",
                say(f"Cette réponse n'a pas de « {name} ».", f"This answer has no '{name}'."),
                say("Il y a : ", "There is: ") + ", ".join(self.figures),
            )
        axes = ax if ax is not None else import_module("matplotlib.pyplot").subplots()[1]
        return _error_bars(
            axes, [self._group(row) for row in self.rows], [row[name] for row in self.rows], name
        )

    def __repr__(self) -> str:
        return "\n".join([self.words, table_text(*self._table()), *self._notes()])

    def _repr_html_(self) -> str:
        muted = [any(row[name].get("below_noise") for name in self.figures) for row in self.rows]
        return _html(self.words, table(*self._table(), muted), *self._notes())

    def _group(self, row: dict[str, Any]) -> str:
        return " · ".join(str(row[name]) for name in self.by)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = [
            *self.by,
            *(part for name in self.figures for part in (name, _interval_name(self.rows, name))),
        ]
        return head, [
            [
                *(str(row[name]) for name in self.by),
                *(part for name in self.figures for part in _shown(row[name])),
            ]
            for row in self.rows
        ]

    def _notes(self) -> list[str]:
        spent = self._told["spent"]
        free = say(
            "Réponse déjà payée, rendue gratuitement.", "Already paid for, given again free of charge."
        )
        left = say("reste du projet : ", "left to the project: ") + loss(self.left["project"])
        notes = [free] if self.replayed else []
        return [
            *notes,
            f"{_deeper(self.rho_micro, spent['epsilon'], spent['delta'])} · {left}",
            questions_only(),
        ]


def _deeper(rho_micro: int, epsilon: object, delta: object) -> str:
    """The loss in the field's terms: zCDP, and what it implies as (ε, δ)."""
    return f"{loss(rho_micro)} · ε = {number(float(str(epsilon)), 3)} (δ = {float(str(delta)):g})"


def _width(told: dict[str, Any]) -> str:
    wide = f"{told['name']} ± {number(float(told['plus_minus']))}"
    if told.get("at_count") is None:
        return wide
    rows = number(told["at_count"])
    return wide + say(f" (pour {rows} lignes)", f" (for {rows} rows)")


def _html(words: str, body: str, *notes: str) -> str:
    details = "<br>".join(escape(note) for note in notes)
    more = escape(say("Prix et garantie", "Price and guarantee"))
    return (
        f"<p><strong>{escape(words)}</strong></p>{body}<details><summary>{more}</summary>{details}</details>"
    )


def _is_cell(value: object) -> bool:
    return isinstance(value, dict) and "value" in value


def _float(value: object) -> float | None:
    return None if value is None else float(str(value))


def _shown(cell: Cell) -> list[str]:
    value, low, high = (_float(cell.get(key)) for key in ("value", "low", "high"))
    if value is None:
        return ["", ""]
    written = number(value) + (
        say(" (perdu dans le bruit)", " (lost in noise)") if cell.get("below_noise") else ""
    )
    return [written, "" if low is None or high is None else f"{number(low)} – {number(high)}"]


def _interval_name(rows: list[dict[str, Any]], figure: str) -> str:
    """Say what the interval holds; it is called a confidence interval nowhere."""
    holds = {str(row[figure].get("holds", "noise")) for row in rows if row[figure].get("value") is not None}
    if holds == {"noise and sampling"}:
        return say("bruit et échantillon", "noise and sampling")
    if "noise and sampling" in holds:
        return say("bruit, ou bruit et échantillon", "noise, or noise and sampling")
    return say("bruit seul", "noise only")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Spread each cell into value, low, high and a flag, as a frame wants it."""
    flat: dict[str, Any] = {}
    for name, cell in row.items():
        if not _is_cell(cell):
            flat[name] = cell
            continue
        flat[name] = _float(cell["value"])
        flat |= {f"{name}_{end}": _float(cell.get(end)) for end in ("low", "high")}
        flat[f"{name}_below_noise"] = bool(cell.get("below_noise"))
    return flat


def _error_bars(axes: Any, labels: list[str], cells: list[Cell], name: str) -> Any:
    values = [_float(cell["value"]) or 0.0 for cell in cells]
    below = [value - (_float(cell.get("low")) or value) for value, cell in zip(values, cells, strict=True)]
    above = [(_float(cell.get("high")) or value) - value for value, cell in zip(values, cells, strict=True)]
    places = range(len(values))
    axes.errorbar(places, values, yerr=[below, above], fmt="o", capsize=4)
    axes.set_xticks(list(places), labels, rotation=30 if len(labels) > 4 else 0)  # noqa: PLR2004 - they overlap
    axes.set_ylabel(name)
    axes.set_title(_interval_name([{name: cell} for cell in cells], name), fontsize="small")
    return axes
