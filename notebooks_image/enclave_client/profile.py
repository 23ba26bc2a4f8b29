"""What the house paid once to know of a dataset, and the bounds it advises: tables, and pictures of the trade-off."""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import Any

from .errors import EnclaveError
from .language import loss, number, percent, say
from .show import table, table_text

Record = dict[str, Any]


class Profile:
    """Rows and groups per privacy unit and quantiles of the numbers, noisy. `.rows_per_unit`, `.groups_per_unit`, `.plot()`."""

    def __init__(self, told: Record) -> None:
        self.rows_per_unit: list[Record] = told["rows_per_unit"]
        self.groups_per_unit: dict[str, list[Record]] = told.get("groups_per_unit", {})
        self.columns: dict[str, list[Record]] = told["columns"]
        self._told = told

    @property
    def words(self) -> str:
        """What it is and who paid, in one sentence."""
        cost = loss(int(self._told["rho_micro"]))
        return say(
            f"Profil de {self._told['dataset']}, version {self._told['version']} : bruité, payé une fois ({cost}), gratuit ici.",
            f"Profile of {self._told['dataset']}, version {self._told['version']}: noisy, paid once ({cost}), free here.",
        )

    def plot(self, column: str | None = None, ax: Any = None) -> Any:
        """Draw how many units have how many rows, or values of a category; gives the matplotlib axes back."""
        bins = self.rows_per_unit if column is None else _of(self.groups_per_unit, column)
        axes = ax if ax is not None else import_module("matplotlib.pyplot").subplots()[1]
        shown = [one for one in bins if one["clear"]]
        axes.bar([_bin(one) for one in shown], [one["units"] for one in shown])
        axes.set_xlabel(
            say("lignes par unité", "rows per unit")
            if column is None
            else say(f"valeurs de {column} par unité", f"values of {column} per unit")
        )
        axes.set_ylabel(say("unités", "units"))
        return axes

    def __repr__(self) -> str:
        return "\n".join([self.words, *(table_text(*one) for one in self._tables())])

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.words)}</strong></p>" + "".join(
            table(*one) for one in self._tables()
        )

    def _tables(self) -> list[tuple[list[str], list[list[str]]]]:
        units = [[_bin(one), number(one["units"])] for one in self.rows_per_unit if one["clear"]]
        probs = [one["prob"] for one in next(iter(self.columns.values()), [])]
        values = [[name, *(_value(one) for one in each)] for name, each in self.columns.items()]
        tables = []
        if units:
            tables.append(([say("lignes par unité", "rows per unit"), say("unités", "units")], units))
        for name, bins in self.groups_per_unit.items():
            head = say(f"valeurs de {name} par unité", f"values of {name} per unit")
            told = [[_bin(one), number(one["units"])] for one in bins if one["clear"]]
            tables += [([head, say("unités", "units")], told)] if told else []
        if values:
            tables.append(([say("quantile", "quantile"), *probs], values))
        return tables


class Advice:
    """Bounds proposed for a question of a given price, with every choice that was weighed.

    `.rows`, `.groups`, `.groups_by`, `.low`, `.high`; `.plot()`, `.plot("cost")`, `.plot("cost", lower=True)`, `.plot("dept")`.
    """

    def __init__(self, told: Record, dataset: str) -> None:
        self._told = told
        self._dataset = dataset
        self.choices: list[Record] = told["rows"]
        self.columns: dict[str, list[Record]] = told["columns"]
        self.lows: dict[str, list[Record]] = told.get("lows", {})
        self._groups: dict[str, list[Record]] = told.get("groups_by", {})

    @property
    def rows(self) -> int | None:
        """Rows of one unit to keep, as `limit(rows=...)` takes it."""
        best = _best(self.choices)
        return None if best is None else int(best["rows"])

    @property
    def groups(self) -> int:
        """Groups of one unit to keep, as `limit(groups=...)` takes it."""
        return int(self._told["groups"])

    @property
    def groups_by(self) -> dict[str, int]:
        """Groups of one unit to keep where units are counted by that column, as `limit(groups=...)` takes it."""
        return {name: int(best["groups"]) for name, best in _bests(self._groups).items()}

    @property
    def low(self) -> dict[str, float]:
        """The lower bound proposed for each number, as `mean(column, low, high)` takes it."""
        return {name: float(best["low"]) for name, best in _bests(self.lows).items()}

    @property
    def high(self) -> dict[str, float]:
        """The upper bound proposed for each number, as `mean(column, low, high)` takes it."""
        return {name: float(best["high"]) for name, best in _bests(self.columns).items()}

    @property
    def words(self) -> str:
        """The proposal in a sentence."""
        best = _best(self.choices)
        if best is None:
            return say(
                "Le profil ne compte pas assez d'unités pour conseiller.",
                "The profile counts too few units to advise.",
            )
        left_out, width = percent(best["dropped"], 1), number(best["plus_minus"])
        return say(
            f"Pour {self._dataset} : .limit(rows={self.rows}, groups={self.groups}) laisse de côté {left_out} des lignes "
            f"et donne un effectif à {width} près.",
            f"For {self._dataset}: .limit(rows={self.rows}, groups={self.groups}) leaves {left_out} of the rows out "
            f"and gives a count within {width}.",
        )

    def plot(self, column: str | None = None, ax: Any = None, *, lower: bool = False) -> Any:
        """Draw bias, noise and their total for every choice: of rows, of a number's bounds, of a category's groups."""
        choices, x, label = self._drawn(column, lower=lower)
        axes = ax if ax is not None else import_module("matplotlib.pyplot").subplots()[1]
        for part, name in (
            ("bias", say("biais", "bias")),
            ("plus_minus", say("bruit (95 %)", "noise (95%)")),
            ("total", say("erreur totale", "total error")),
        ):
            axes.plot([one[x] for one in choices], [one[part] for one in choices], marker="o", label=name)
        best = _best(choices)
        if best is not None:
            axes.axvline(best[x], linewidth=0.8, color="0.5", linestyle="--")
        axes.set_xlabel(label)
        axes.legend(fontsize="small")
        return axes

    def __repr__(self) -> str:
        return "\n".join([self.words, *(table_text(*one) for one in self._tables())])

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.words)}</strong></p>" + "".join(
            table(*one) for one in self._tables()
        )

    def _drawn(self, column: str | None, *, lower: bool) -> tuple[list[Record], str, str]:
        if column is None:
            return self.choices, "rows", say("lignes retenues par unité", "rows kept of a unit")
        if column in self._groups:
            label = say(f"valeurs de {column} retenues par unité", f"values of {column} kept of a unit")
            return self._groups[column], "groups", label
        known = self.lows if lower else self.columns
        bound = say("borne basse", "lower bound") if lower else say("borne haute", "upper bound")
        return _of(known, column), "low" if lower else "high", f"{column} ({bound})"

    def _tables(self) -> list[tuple[list[str], list[list[str]]]]:
        errors = [say("biais", "bias"), "±", say("total", "total"), ""]
        head = [say("lignes", "rows"), say("laissé", "left out"), *errors]
        rows = [[str(one["rows"]), percent(one["dropped"], 1), *_errors(one)] for one in self.choices]
        tables = [(head, rows)] if rows else []
        left_out, clipped = say("laissé", "left out"), say("écrêté", "clipped")
        for sign, known, bound, share, column in (
            ("", self._groups, "groups", "dropped", left_out),
            (" ≤", self.columns, "high", "clipped", clipped),
            (" ≥", self.lows, "low", "clipped", clipped),
        ):
            for name, choices in known.items():
                lines = [[number(one[bound]), percent(one[share], 1), *_errors(one)] for one in choices]
                title = say(f"valeurs de {name}", f"values of {name}") if not sign else name + sign
                tables.append(([title, column, *errors], lines))
        return tables


def _errors(one: Record) -> list[str]:
    best = say("← conseillé", "← advised") if one["best"] else ""
    return [number(one["bias"]), number(one["plus_minus"]), number(one["total"]), best]


def _of(known: dict[str, list[Record]], column: str) -> list[Record]:
    if column not in known:
        raise EnclaveError(
            "column_not_profiled",
            say(f"« {column} » n'est pas dans le profil.", f"'{column}' is not in the profile."),
            say("Il y a : ", "There is: ") + ", ".join(known),
        )
    return known[column]


def _bests(known: dict[str, list[Record]]) -> dict[str, Record]:
    found = {name: _best(each) for name, each in known.items()}
    return {name: best for name, best in found.items() if best is not None}


def _best(choices: list[Record]) -> Record | None:
    return next((one for one in choices if one["best"]), None)


def _bin(one: Record) -> str:
    if one["high"] is None:
        return f"{one['low']}+"
    return str(one["low"]) if one["low"] == one["high"] else f"{one['low']}–{one['high']}"


def _value(one: Record) -> str:
    return "" if one["value"] is None else number(one["value"])
