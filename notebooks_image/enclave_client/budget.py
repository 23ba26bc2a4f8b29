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
        "Cette perte ne couvre que les questions ; les sorties exactes déjà publiées sur les mêmes "
        "personnes sont listées dans la page du projet.",
        "This loss covers questions only; exact releases about the same people are listed on the project's page.",
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


class Budget:
    """Caps of the population, the project and the person; the population's cap is the guarantee."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.population = _allowance(told["population"])
        self.project = _allowance(told["project"])
        self.person = _allowance(told["person"])

    @property
    def words(self) -> str:
        """What is left, in one sentence."""
        return say(
            f"Il reste {self.project.left} du budget de votre projet.",
            f"{self.project.left} of your project's budget is left.",
        )

    def __repr__(self) -> str:
        return "\n".join([self.words, table_text(*self._table()), questions_only()])

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.words)}</p>{table(*self._table())}<p><small>{escape(questions_only())}</small></p>"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = ["", say("reste", "left"), say("reste (ρ)", "left (ρ)"), say("plafond (ρ)", "cap (ρ)")]
        named = (
            (say("population", "population"), self.population),
            (say("projet", "project"), self.project),
            (say("vous", "you"), self.person),
        )
        return head, [
            [name, part.left, loss(part.left_rho_micro), loss(part.cap_rho_micro)] for name, part in named
        ]


def budget() -> Budget:
    """Tell what is left; free."""
    return Budget(call("GET", "budget"))


def _allowance(told: dict[str, Any]) -> Allowance:
    return Allowance(int(told["cap_rho_micro"]), int(told["left_rho_micro"]))
