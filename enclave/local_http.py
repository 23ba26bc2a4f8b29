"""Speaking HTTP to another process of the house over its unix socket, and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from enclave.errors import BadInput, ComponentDown, Damaged, EnclaveError, Refused

_BY_STATUS: dict[int, type[EnclaveError]] = {
    422: BadInput,
    400: BadInput,
    413: BadInput,
    503: ComponentDown,
    500: Damaged,
}


class LocalService:
    """A peer process behind a unix socket; every failure becomes one of the house's errors."""

    def __init__(self, name: str, socket: Path, timeout_seconds: float) -> None:
        self._name = name
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket), retries=0),
            base_url="http://local",
            timeout=timeout_seconds,
        )

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Send a request and give the JSON object that came back.

        Raises `ComponentDown` when nothing (or nothing in time) answers, and the peer's own refusal otherwise.
        """
        answer = self.send(method, path, body, **options)
        if answer.status_code == httpx.codes.NO_CONTENT or not answer.content:
            return {}
        result: dict[str, Any] = answer.json()
        return result

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any
    ) -> httpx.Response:
        """Send a request and give the successful response, whatever its form."""
        try:
            answer = self._http.request(method, path, json=body, **options)
        except httpx.HTTPError:
            raise ComponentDown(
                f"{self._name}_down",
                f"The {self._name} does not answer; nothing was done.",
                "Run `enclave status`; ask the operator to start it.",
            ) from None
        if answer.is_success:
            return answer
        raise _refusal(self._name, answer)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def _refusal(name: str, answer: httpx.Response) -> EnclaveError:
    kind = _BY_STATUS.get(answer.status_code, Refused)
    try:
        told = answer.json()["error"]
        params = {key: value for key, value in told.get("params", {}).items() if isinstance(value, str | int)}
        error = kind(told["code"], told["message"], told.get("to_do", ""), **params)
    except (ValueError, KeyError, TypeError):
        error = ComponentDown(
            f"{name}_down", f"The {name} answered with status {answer.status_code} and no reason."
        )
    return error
