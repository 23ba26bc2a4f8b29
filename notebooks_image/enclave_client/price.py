"""A price and the accuracy to expect of it, before anything is asked; both free, and the same whatever the data."""

from html import escape
from typing import Any

from .budget import questions_only
from .language import loss, number, percent, say
from .show import table, table_text


class ExpectedAccuracy:
    """What 95 % of the noise of each figure will lie within."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self.rows = told
        self.plus_minus = {each["name"]: float(each["plus_minus"]) for each in told}

    @property
    def words(self) -> str:
        """The figures and their widths in one line."""
        return ", ".join(_width(each) for each in self.rows)

    def __repr__(self) -> str:
        return table_text(*self._table())

    def _repr_html_(self) -> str:
        return table(*self._table())

    def _table(self) -> tuple[list[str], list[list[str]]]:
        head = [
            say("chiffre", "figure"),
            "±",
            say("de", "of"),
            say("pour ce nombre de lignes", "at this many rows"),
        ]
        return head, [
            [
                each["name"],
                number(float(each["plus_minus"])),
                _of(each),
                "" if each.get("at_count") is None else number(each["at_count"]),
            ]
            for each in self.rows
        ]


class Price:
    """What a question would cost and how accurate it would be; nothing was spent."""

    def __init__(self, told: dict[str, Any], cap_rho_micro: int) -> None:
        self.rho_micro = int(told["rho_micro"])
        self.epsilon = float(told["epsilon"])
        self.delta = float(told["delta"])
        self.expected = ExpectedAccuracy(told["accuracy"])
        self.accuracy = self.expected.plus_minus
        self.left_rho_micro = int(told["left"]["project"])
        self.cap_rho_micro = cap_rho_micro

    @property
    def words(self) -> str:
        """Price and accuracy in one sentence."""
        wide = self.expected.words
        cost = percent(self.rho_micro, self.cap_rho_micro)
        left = percent(max(self.left_rho_micro - self.rho_micro, 0), self.cap_rho_micro)
        return say(
            f"Coûterait {cost} du budget du projet, il en resterait {left} ; précision attendue : {wide}.",
            f"Would cost {cost} of the project's budget, leaving {left}; expected accuracy: {wide}.",
        )

    def __repr__(self) -> str:
        return f"{self.words}\n{deeper(self.rho_micro, self.epsilon, self.delta)}\n{questions_only()}"

    def _repr_html_(self) -> str:
        return page(self.words, "", deeper(self.rho_micro, self.epsilon, self.delta), questions_only())


def deeper(rho_micro: int, epsilon: object, delta: object) -> str:
    """Give the loss in the field's terms: zCDP, and what it implies as (ε, δ)."""
    return f"{loss(rho_micro)} · ε = {number(float(str(epsilon)), 3)} (δ = {float(str(delta)):g})"


def page(words: str, body: str, *notes: str) -> str:
    """Lay out words first, the table next, the technical figures one click deeper."""
    details = "<br>".join(escape(note) for note in notes)
    more = escape(say("Prix et garantie", "Price and guarantee"))
    return (
        f"<p><strong>{escape(words)}</strong></p>{body}<details><summary>{more}</summary>{details}</details>"
    )


def _of(told: dict[str, Any]) -> str:
    names = {
        "share of rows": say("rang (part des lignes)", "rank (share of rows)"),
        "slope": say("pente", "slope"),
    }
    return names.get(str(told.get("of", "value")), say("valeur", "value"))


def _width(told: dict[str, Any]) -> str:
    wide = f"{told['name']} ± {number(float(told['plus_minus']))}"
    if told.get("at_count") is None:
        return wide
    rows = number(told["at_count"])
    return wide + say(f" (pour {rows} lignes)", f" (for {rows} rows)")
