"""The datasets this project may question, and what the steward declared about each column."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from .budget import project_cap
from .door import call
from .errors import EnclaveError, closest
from .expression import Column, Description
from .language import say
from .mock import mock_frame
from .profile import Advice, Profile
from .question import Selection, Steps, rho_micro
from .show import table, table_text

if TYPE_CHECKING:
    import polars as pl

    from .statistics import Number


class Dataset(Selection):
    """A table that stays in the enclave. `ds.column` names a column; nothing is read before `ask()`."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._columns = {
            column["name"]: Column(_description(column), told["dataset"]) for column in told["columns"]
        }
        super().__init__(Steps(self))

    @property
    def name(self) -> str:
        """The dataset's identifier."""
        return str(self._told["dataset"])

    @property
    def version(self) -> int:
        """The version questions are answered from today."""
        return int(self._told["version"])

    @property
    def population(self) -> str:
        """The people (or other units) whose cap questions draw on."""
        return str(self._told["population"])

    @property
    def rows(self) -> int:
        """Rows one privacy unit may contribute when the question does not say."""
        return int(self._told["rows"])

    @property
    def groups(self) -> int:
        """Groups one privacy unit may contribute to when the question does not say."""
        return int(self._told["groups"])

    @property
    def rows_per_group(self) -> int | None:
        """Rows one privacy unit may contribute to one group when the question does not say; None: as many as `rows`."""
        within = self._told.get("rows_per_group")
        return None if within is None else int(within)

    @property
    def denominators(self) -> dict[str, str]:
        """Public tables of persons that rates may be over, each with its source."""
        return {one["name"]: str(one["source"]) for one in self._told.get("denominators", [])}

    @property
    def linkable(self) -> bool:
        """Whether it may be asked together with another linkable dataset of its population."""
        return bool(self._told.get("linkable"))

    @property
    def column_names(self) -> list[str]:
        """Names of the columns (`columns` is the same)."""
        return list(self._columns)

    columns = column_names

    def mock(self, rows: int = 1000, seed: int = 0) -> pl.DataFrame:
        """Give made-up rows with this table's columns, domains and bounds, to write code against: free, no data is read.

        `_unit` is the made-up privacy unit. The values say nothing about anybody; the same seed gives the same rows.
        """
        told = call("GET", f"datasets/{self.name}/mock?rows={rows}&seed={seed}")
        return mock_frame(told["columns"], [column.description for column in self._columns.values()])

    def profile(self) -> Profile:
        """Show rows per unit and quantiles of the numbers, noisy; the house paid for it once, it is free here."""
        return Profile(call("GET", f"datasets/{self.name}/profile")["profile"])

    def advise(self, *, rho: Number | None = None, share: Number | None = None) -> Advice:
        """Propose bounds for a question of this price: what each choice leaves out against the noise it saves. Free."""
        cap = project_cap(self.population)
        offered = rho_micro(rho, share, cap)
        told = call("GET", f"datasets/{self.name}/profile?rho_micro={offered}")
        return Advice(told["advice"], self.name)

    def described(self, name: str) -> Column | None:
        """Give a declared column, or None for one that was computed."""
        return self._columns.get(name)

    def __repr__(self) -> str:
        return self._first_line() + "\n" + table_text(_head(), self._lines())

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._first_line())}</p>" + table(_head(), self._lines())

    def _first_line(self) -> str:
        title = self._told.get("title") or self.name
        unit = self._told["unit"]
        return say(
            f"{title} (version {self.version}), une unité protégée = {unit} : "
            f"au plus {self.rows} lignes dans {self.groups} groupes.",
            f"{title} (version {self.version}), one protected unit = {unit}: "
            f"at most {self.rows} rows in {self.groups} groups.",
        )

    def _lines(self) -> list[list[str]]:
        return [
            [column.name, _kind(column), column.description.range, column.description.words]
            for column in self._columns.values()
        ]


class Datasets(list[Dataset]):
    """The list of datasets, shown as a table."""

    def __repr__(self) -> str:
        return table_text(_list_head(), self._lines())

    def _repr_html_(self) -> str:
        return table(_list_head(), self._lines())

    def _lines(self) -> list[list[str]]:
        return [
            [each.name, str(each.version), str(len(each.column_names)), ", ".join(each.column_names[:8])]
            for each in self
        ]


def datasets() -> Datasets:
    """List the datasets this project may question today."""
    return Datasets(Dataset(told) for told in call("GET", "datasets")["datasets"])


def dataset(name: str) -> Dataset:
    """Open one dataset by name; this reads its public description, no data."""
    listed = {each.name: each for each in datasets()}
    if name not in listed:
        raise EnclaveError(
            "dataset_unknown",
            say(
                f"Ce projet n'a pas de jeu de données « {name} » aujourd'hui.",
                f"This project has no dataset '{name}' today.",
            ),
            closest(name, list(listed)) if listed else "",
        )
    return listed[name]


def _description(column: dict[str, Any]) -> Description:
    domain = column.get("domain")
    return Description(
        name=column["name"],
        kind=column["kind"],
        domain=None if domain is None else tuple(domain),
        low=column.get("low"),
        high=column.get("high"),
        words=column.get("words") or "",
        never_null=bool(column.get("never_null")),
    )


def _kind(column: Column) -> str:
    """Give the kind, and whether intake kept only rows that have a value."""
    return column.kind + (say(", jamais vide", ", never null") if column.description.never_null else "")


def _head() -> list[str]:
    return [
        say("colonne", "column"),
        say("type", "type"),
        say("valeurs", "values"),
        say("description", "description"),
    ]


def _list_head() -> list[str]:
    return [say("jeu", "dataset"), "version", say("colonnes", "columns"), say("premières", "first ones")]
