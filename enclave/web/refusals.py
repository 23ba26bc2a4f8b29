"""Errors on their way to a program: `{"error": {"code", "message", "to_do"}}` in the caller's language."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from httpx import codes
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from anonymisation.errors import AnonymisationError
from audit.errors import AuditError
from enclave import messages
from enclave.errors import BadInput, Damaged, EnclaveError, NotFound, Told, http_status
from vault.errors import VaultError

FAMILIES: tuple[type[Exception], ...] = (EnclaveError, AnonymisationError, AuditError, VaultError)


# The last one is answered here too, else the framework answers in its own words; `LastResort` then logs it.
EXPECTED: tuple[type[Exception], ...] = (*FAMILIES, HTTPException, RequestValidationError, Exception)


class TooLarge(BadInput):
    """More bytes than this door takes."""

    status = codes.REQUEST_ENTITY_TOO_LARGE


class MethodNotAllowed(BadInput):
    """The path exists, not this verb."""

    status = codes.METHOD_NOT_ALLOWED


def too_large() -> EnclaveError:
    """Give the refusal of a body over its limit."""
    return TooLarge("body_too_large", "More was sent than this door takes.", "Send fewer or smaller files.")


def unforeseen() -> EnclaveError:
    """Give what is said when nothing better is known."""
    return Damaged(
        "unforeseen",
        "Something unforeseen happened; its place is in the service's log.",
        "Tell the operator.",
    )


def from_http(problem: HTTPException) -> EnclaveError:
    """Turn the framework's own refusals into the house's."""
    if problem.status_code == codes.NOT_FOUND:
        return NotFound(
            "page_unknown", "There is nothing at this address.", "Start again from the home page."
        )
    if problem.status_code == codes.METHOD_NOT_ALLOWED:
        return MethodNotAllowed("method_not_allowed", "This address does not take this verb.")
    return BadInput("body_invalid", "The request cannot be read.", "See the API documentation.", field="body")


def from_validation(problem: RequestValidationError) -> EnclaveError:
    """Name the first field that cannot be read; the value itself is not repeated."""
    place = ".".join(str(part) for part in problem.errors()[0]["loc"][1:]) or "body"
    return BadInput(
        "body_invalid", f"The field '{place}' cannot be read.", "See the API documentation.", field=place
    )


def as_json(error: Told, accept_language: str | None) -> JSONResponse:
    """Write an error for a program."""
    told = messages.error(error, messages.preferred(accept_language))
    headers = {"Cache-Control": "no-store"}
    if http_status(error) == codes.UNAUTHORIZED:  # RFC 9110 §11.6.1 asks for a challenge
        headers["WWW-Authenticate"] = 'Basic realm="enclave", charset="UTF-8"'
    return JSONResponse({"error": told}, status_code=http_status(error), headers=headers)


def answer_with(error: Told) -> ASGIApp:
    """Make a tiny application that always gives this error."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await as_json(error, Request(scope).headers.get("accept-language"))(scope, receive, send)

    return app


def install(app: FastAPI) -> None:
    """Answer every foreseen error of this application in JSON."""

    async def told(request: Request, problem: Exception) -> Response:
        return as_json(house_error(problem), request.headers.get("accept-language"))

    for family in EXPECTED:
        app.add_exception_handler(family, told)


def house_error(problem: Exception) -> Told:
    if isinstance(problem, HTTPException):
        return from_http(problem)
    if isinstance(problem, RequestValidationError):
        return from_validation(problem)
    if isinstance(problem, EnclaveError | AnonymisationError | AuditError | VaultError):
        return problem
    return unforeseen()
