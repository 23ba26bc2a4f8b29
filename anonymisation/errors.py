"""The error family of the anonymisation tool: what was refused, to what, and the closest supported form."""

from typing import ClassVar, Literal


class AnonymisationError(Exception):
    """Something this tool will not or cannot do.

    `code` is stable snake_case; `params` fill a message catalogue. None of them ever holds a value of the data.
    """

    kind: ClassVar[Literal["usage", "refused", "down", "damaged"]] = "refused"

    def __init__(self, code: str, message: str, to_do: str = "", **params: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.to_do = to_do
        self.params = params


class BadQuestion(AnonymisationError):
    """A question that is not in the closed form, or that does not fit the table it is asked of."""

    kind = "usage"


class BudgetSpent(AnonymisationError):
    """A cap has not enough left for this question."""


class ReceiptMismatch(AnonymisationError):
    """A receipt that does not belong to the act it was handed in for."""

    def __init__(self, message: str) -> None:
        super().__init__("receipt_mismatch", message, "Record the act first and hand in its own receipt.")


class LedgerDown(AnonymisationError):
    """The ledger cannot be opened or locked; nothing was charged and nothing may be answered."""

    kind = "down"


class Damaged(AnonymisationError):
    """Stored data is not what it should be: a bound does not hold, a unit is torn, a schema is unknown."""

    kind = "damaged"
