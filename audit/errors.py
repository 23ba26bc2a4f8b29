"""The error family of the trail: each says what happened, to what, and what to do."""

from typing import ClassVar, Literal

Kind = Literal["usage", "refused", "down", "damaged"]

EXIT_CODE: dict[Kind, int] = {"usage": 2, "refused": 3, "down": 4, "damaged": 5}
HTTP_STATUS: dict[Kind, int] = {"usage": 422, "refused": 403, "down": 503, "damaged": 500}


class AuditError(Exception):
    """Something the trail will not or cannot do."""

    kind: ClassVar[Kind] = "refused"
    status: ClassVar[int | None] = None

    def __init__(self, code: str, message: str, to_do: str = "", **params: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.to_do = to_do
        self.params = params

    def as_json(self) -> dict[str, dict[str, str]]:
        """Give the wire form, the same on stderr and over HTTP."""
        return {"error": {"code": self.code, "message": self.message, "to_do": self.to_do}}

    def http_status(self) -> int:
        """Give the HTTP status this error is answered with."""
        return self.status if self.status is not None else HTTP_STATUS[self.kind]


class BadInput(AuditError):
    """What was handed in cannot be read; nothing was recorded."""

    kind = "usage"


class TooLarge(BadInput):
    """More bytes than an event may have."""

    status = 413


class NotFound(AuditError):
    """No such entry or address."""

    status = 404


class Conflict(AuditError):
    """The id is taken by an event with other bytes."""

    status = 409


class LogUnavailable(AuditError):
    """The log cannot promise durability now; nothing was recorded, so nothing may be done."""

    kind = "down"


class LogDamaged(AuditError):
    """What is on disk is not what was signed."""

    kind = "damaged"


class ProofWrong(AuditError):
    """A signature, an inclusion proof or a consistency proof does not hold."""

    kind = "damaged"
