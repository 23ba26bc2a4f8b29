"""What can go wrong, in one sentence and what to do; shown without a traceback in a notebook."""

from difflib import get_close_matches
from typing import Any

from .language import say


class EnclaveError(Exception):
    """The enclave or this library will not do it: `message` says what, `to_do` what to change."""

    def __init__(self, code: str, message: str, to_do: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.to_do = to_do

    def __str__(self) -> str:
        return f"{self.message}\n→ {self.to_do}" if self.to_do else self.message

    def _render_traceback_(self) -> list[str]:
        """IPython's hook: the researcher's mistake, not the library's stack."""
        return str(self).splitlines()


class NoSuchColumn(EnclaveError, AttributeError, KeyError):
    """A column the table does not have."""

    __str__ = EnclaveError.__str__


class WrongType(EnclaveError, TypeError):
    """A value or a step that cannot be part of a question."""


def closest(name: str, known: list[str]) -> str:
    """Name the nearest spelling, else the first few of what exists."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return say(f"Vouliez-vous dire « {near[0]} » ?", f"Did you mean '{near[0]}'?")
    listed = ", ".join(known[:8]) + (", …" if len(known) > 8 else "")  # noqa: PLR2004 - one line
    return say(f"Il y a : {listed}.", f"There is: {listed}.")


def no_such_column(name: str, dataset: str, known: list[str]) -> NoSuchColumn:
    """Name the table, the column asked for, and the closest one."""
    return NoSuchColumn(
        "column_unknown",
        say(
            f"« {dataset} » n'a pas de colonne « {name} ».",
            f"'{dataset}' has no column '{name}'.",
        ),
        closest(name, known),
    )


def not_a_truth(_: Any) -> WrongType:
    """Explain Python's `and`, `or`, `not` and chained comparisons on columns."""
    return WrongType(
        "truth_of_a_column",
        say(
            "Une condition sur une colonne n'est ni vraie ni fausse ici : elle part avec la question.",
            "A condition on a column is neither true nor false here: it travels with the question.",
        ),
        say(
            "Écrivez & | ~ à la place de and, or, not, avec des parenthèses ; et .between(a, b).",
            "Write & | ~ instead of and, or, not, with parentheses; and .between(a, b).",
        ),
    )
