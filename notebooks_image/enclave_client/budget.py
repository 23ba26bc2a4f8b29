"""What the project has left to ask with."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib import import_module
from itertools import accumulate
from typing import Any

from .door import call
from .language import PER_MILLION, language, loss, percent, say
from .show import table, table_text

BAR, LONGEST_BAR = "▇", 30
MONTHS_SHOWN = 12


def questions_only() -> str:
    """Say what a stated loss does not cover; shown wherever a loss is stated."""
    return say(
        "La perte ne couvre que les questions ; le budget liste ce qui est sorti par ailleurs sur les mêmes personnes.",
        "The loss covers questions only; the budget lists what else was released about the same people.",
    )


@dataclass(frozen=True)
class Allowance:
    """One cap and what is left of it, in micro-rho."""

    cap_rho_micro: int
    left_rho_micro: int

    @property
    def left(self) -> str:
        """The share that is left, in words."""
        return percent(self.left_rho_micro, self.cap_rho_micro)


@dataclass(frozen=True)
class Charge:
    """One paid question of the project: when, by whom, about which dataset, what it cost."""

    when: datetime
    person: str
    dataset: str
    rho_micro: int
    question_sha256: str


class Share:
    """The three caps on questions about one population; the population's own cap is the guarantee.

    `charges` are the project's, oldest first; `means` says what the project's cap allows anybody to learn, `once_spent` what
    remains possible when it is reached.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.name = str(told["population"]["name"])
        self.population = _allowance(told["population"])
        self.project = _allowance(told["project"])
        self.person = _allowance(told["person"])
        self.outside: list[dict[str, str]] = told["outside"]
        self.charges = tuple(_charge(each) for each in told["charges"])
        self.means = str(told["means"][language()])
        self.once_spent = str(told["once_spent"][language()])

    @property
    def words(self) -> str:
        """What is left, in one sentence."""
        return say(
            f"Il reste {self.project.left} du budget de votre projet sur la population {self.name}.",
            f"{self.project.left} of your project's budget on the population {self.name} is left.",
        )

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The caps as a table's head and lines."""
        head = [self.name, say("reste", "left"), say("reste (ρ)", "left (ρ)"), say("plafond (ρ)", "cap (ρ)")]
        named = (
            (say("population", "population"), self.population),
            (say("projet", "project"), self.project),
            (say("vous", "you"), self.person),
        )
        return head, [
            [name, part.left, loss(part.left_rho_micro), loss(part.cap_rho_micro)] for name, part in named
        ]

    def by_month(self) -> dict[str, int]:
        """What the project spent in each month that has a charge, in micro-rho, oldest first."""
        spent: dict[str, int] = {}
        for each in self.charges:
            month = each.when.strftime("%Y-%m")
            spent[month] = spent.get(month, 0) + each.rho_micro
        return spent

    def bars(self) -> list[str]:
        """The last twelve of those months as lines of text; the longest bar is the dearest month."""
        months = [*self.by_month().items()][-MONTHS_SHOWN:]
        most = max((spent for _, spent in months), default=0)
        return [f"{month}  {BAR * -(-spent * LONGEST_BAR // most)} {loss(spent)}" for month, spent in months]

    def plot(self, ax: Any = None) -> Any:
        """Draw what the project has spent over time below its cap; gives the matplotlib axes."""
        axes = ax if ax is not None else import_module("matplotlib.pyplot").subplots()[1]
        spent = [total / PER_MILLION for total in accumulate(each.rho_micro for each in self.charges)]
        axes.step([each.when for each in self.charges], spent, where="post", marker="o")
        axes.axhline(self.project.cap_rho_micro / PER_MILLION, linestyle="--", color="0.4")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(
            say("ρ dépensé par le projet (tirets : plafond)", "ρ spent by the project (dashed: its cap)")
        )
        axes.set_title(self.words, fontsize="small")
        axes.tick_params(axis="x", rotation=30)
        return axes


class Budget(dict[str, Share]):
    """What is left, by population: `budget()["normandie"].project`."""

    @property
    def words(self) -> str:
        """What is left, a sentence for each population."""
        said = [share.words for share in self.values()]
        return " ".join(said) or say("Aucune population.", "No population.")

    def plot(self, ax: Any = None) -> Any:
        """Draw each population's spending over time, one below the other; gives the axes, a list where there are several."""
        shares = [*self.values()]
        if not shares:
            raise ValueError(self.words)
        if len(shares) == 1:
            return shares[0].plot(ax)
        axes = ax if ax is not None else _below_each_other(len(shares))
        return [share.plot(each) for share, each in zip(shares, axes, strict=True)]

    def __repr__(self) -> str:
        shown = [line for share in self.values() for line in (table_text(*share.table()), *share.bars())]
        return "\n".join([self.words, *shown, *self._meanings(), *self._left_out()])

    def _repr_html_(self) -> str:
        shown = "".join(
            table(*share.table()) + f"<pre>{escape(chr(10).join(share.bars()))}</pre>"
            for share in self.values()
        )
        notes = "<br>".join(escape(note) for note in [*self._meanings(), *self._left_out()])
        return f"<p><strong>{escape(self.words)}</strong></p>{shown}<p><small>{notes}</small></p>"

    def _meanings(self) -> Iterator[str]:
        """What each project cap means, then once what is possible when one is reached."""
        yield from (
            f"{share.name} ({loss(share.project.cap_rho_micro)}): {share.means}" for share in self.values()
        )
        yield from dict.fromkeys(share.once_spent for share in self.values())

    def _left_out(self) -> list[str]:
        listed = [f"{each['when'][:10]} {each['what']}" for share in self.values() for each in share.outside]
        return [questions_only(), *listed]


def _below_each_other(count: int) -> Any:
    figure, axes = import_module("matplotlib.pyplot").subplots(count, figsize=(6.4, 3 * count))
    figure.set_layout_engine("tight")
    return axes


def budget() -> Budget:
    """Tell what is left; free."""
    shares = [Share(told) for told in call("GET", "budget")["populations"]]
    return Budget({share.name: share for share in shares})


def project_cap(population: str) -> int:
    """Give the project's whole budget on a population, in micro-rho."""
    share = budget().get(population)
    return 0 if share is None else share.project.cap_rho_micro


def _charge(told: dict[str, Any]) -> Charge:
    return Charge(
        **{**told, "when": datetime.fromisoformat(told["when"]), "rho_micro": int(told["rho_micro"])}
    )


def _allowance(told: dict[str, Any]) -> Allowance:
    return Allowance(int(told["cap_rho_micro"]), int(told["left_rho_micro"]))
