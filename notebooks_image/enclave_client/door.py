"""The one way out of a notebook: JSON over the socket that belongs to this person and this project."""

import os
from typing import Any

import httpx

from .errors import EnclaveError
from .language import language, say

SOCKET_VARIABLE = "ENCLAVE_SOCK"
SOCKET = "/run/enclave/data.sock"
# A question over millions of rows takes minutes at worst; a socket that does not answer is seen at once.
TIMEOUT = httpx.Timeout(900, connect=5)

Json = dict[str, Any]


def call(method: str, path: str, body: Json | None = None) -> Json:
    """Ask the service and give its JSON; every refusal becomes an EnclaveError in the chosen language."""
    try:
        answer = _send(method, path, body)
    except httpx.TransportError as problem:
        raise EnclaveError(
            "service_unreachable",
            say(
                "Le service de l'enclave ne répond pas ; rien n'a été dépensé de plus que ce qu'il a déjà noté.",
                "The enclave service does not answer; nothing was spent beyond what it had already noted.",
            ),
            say(
                "Réessayez dans une minute : une réponse déjà payée est rendue gratuitement.",
                "Try again in a minute: an answer already paid for is given again free of charge.",
            ),
        ) from problem
    return _read(answer)


def _send(method: str, path: str, body: Json | None) -> httpx.Response:
    socket = os.environ.get(SOCKET_VARIABLE, SOCKET)
    # trust_env off: a proxy variable in the kernel must not redirect the question
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=socket),
        base_url="http://enclave",
        timeout=TIMEOUT,
        trust_env=False,
    ) as client:
        return client.request(method, f"/api/v1/{path}", json=body, headers={"Accept-Language": language()})


def _read(answer: httpx.Response) -> Json:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if answer.is_success and isinstance(content, dict):
        return content
    told = content.get("error") if isinstance(content, dict) else None
    if isinstance(told, dict):
        raise EnclaveError(
            str(told.get("code", "")), str(told.get("message", "")), str(told.get("to_do", ""))
        )
    raise EnclaveError(
        "answer_unreadable",
        say(
            f"Le service a répondu {answer.status_code} sans explication lisible.",
            f"The service answered {answer.status_code} without a readable explanation.",
        ),
        say("Signalez-le à l'exploitant.", "Tell the operator."),
    )
