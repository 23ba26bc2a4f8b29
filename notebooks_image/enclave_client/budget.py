"""What the project has left to ask with."""

from dataclasses import dataclass
from html import escape
from typing import Any

from .door import call
from .language import loss, percent, say
from .show import table, table_text


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


class Share:
    """The three caps on questions about one population; the population's own cap is the guarantee."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.name = str(told["population"]["name"])
        self.population = _allowance(told["population"])
        self.project = _allowance(told["project"])
        self.person = _allowance(told["person"])
        self.outside: list[dict[str, str]] = told["outside"]

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


class Budget(dict[str, Share]):
    """What is left, by population: `budget()["normandie"].project`."""

    @property
    def words(self) -> str:
        """What is left, a sentence for each population."""
        said = [share.words for share in self.values()]
        return " ".join(said) or say("Aucune population.", "No population.")

    def __repr__(self) -> str:
        tables = [table_text(*share.table()) for share in self.values()]
        return "\n".join([self.words, *tables, *self._left_out()])

    def _repr_html_(self) -> str:
        tables = "".join(table(*share.table()) for share in self.values())
        notes = "<br>".join(escape(note) for note in self._left_out())
        return f"<p><strong>{escape(self.words)}</strong></p>{tables}<p><small>{notes}</small></p>"

    def _left_out(self) -> list[str]:
        listed = [f"{each['when'][:10]} {each['what']}" for share in self.values() for each in share.outside]
        return [questions_only(), *listed]


def budget() -> Budget:
    """Tell what is left; free."""
    shares = [Share(told) for told in call("GET", "budget")["populations"]]
    return Budget({share.name: share for share in shares})


def project_cap(population: str) -> int:
    """Give the project's whole budget on a population, in micro-rho."""
    share = budget().get(population)
    return 0 if share is None else share.project.cap_rho_micro


def _allowance(told: dict[str, Any]) -> Allowance:
    return Allowance(int(told["cap_rho_micro"]), int(told["left_rho_micro"]))
