"""The error family of the house, and the one mapping from an error to an HTTP status and an exit code."""

from typing import ClassVar, Literal, Protocol

Kind = Literal["usage", "refused", "down", "damaged"]

HTTP_STATUS: dict[Kind, int] = {"usage": 422, "refused": 403, "down": 503, "damaged": 500}
EXIT_CODE: dict[Kind, int] = {"usage": 2, "refused": 3, "down": 4, "damaged": 5}
EXIT_NOT_PASSED = 1


class Told(Protocol):
    """What every error of the house and of its tools carries."""

    kind: ClassVar[Kind]
    code: str
    message: str
    to_do: str
    params: dict[str, str | int]


class EnclaveError(Exception):
    """Something the house will not or cannot do; says what happened, to what, and what to do."""

    kind: ClassVar[Kind] = "refused"
    status: ClassVar[int | None] = None

    def __init__(self, code: str, message: str, to_do: str = "", **params: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.to_do = to_do
        self.params = params


class Refused(EnclaveError):
    """A rule says no."""


class NotFound(EnclaveError):
    """No such thing, or not for this person: the two are not told apart."""

    status = 404


class NotAuthenticated(EnclaveError):
    """Nobody the house knows is asking."""

    status = 401


class BadInput(EnclaveError):
    """What was handed in cannot be read; nothing was done."""

    kind = "usage"


class ComponentDown(EnclaveError):
    """A part the act depends on does not answer; nothing was done."""

    kind = "down"


class Damaged(EnclaveError):
    """Something on disk is not what was written."""

    kind = "damaged"


def http_status(error: Told) -> int:
    """Give the HTTP status an error is answered with."""
    own: int | None = getattr(error, "status", None)
    return own if own is not None else HTTP_STATUS[error.kind]


def exit_code(error: Told) -> int:
    """Give the exit code a command ends with (0 done, 1 not passed, 2 usage, 3 refused, 4 down, 5 damaged)."""
    return EXIT_CODE[error.kind]


def as_json(error: Told) -> dict[str, dict[str, str]]:
    """Give the wire form of an error, the same on stderr and over HTTP."""
    return {"error": {"code": error.code, "message": error.message, "to_do": error.to_do}}
