"""May this person be on this project's notebook now? The house's answer, kept for a moment."""

import time
from collections.abc import Awaitable, Callable

from enclave.errors import ComponentDown, EnclaveError, Refused
from enclave.hub.house import Known
from enclave.hub.roles import NOTEBOOK_ROLES

# A page of JupyterLab makes a hundred requests; a removed role is out after this at the latest.
KEPT_SECONDS = 2.0


class Standing:
    """Re-reads a person at most every two seconds."""

    def __init__(
        self, ask: Callable[[str], Awaitable[Known]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._kept: dict[str, tuple[float, Known | None]] = {}

    async def _known(self, person: str) -> Known | None:
        kept = self._kept.get(person)
        if kept is not None and self._clock() - kept[0] < KEPT_SECONDS:
            return kept[1]
        try:
            known: Known | None = await self._ask(person)
        except ComponentDown:
            raise
        except EnclaveError:
            known = None
        self._kept[person] = (self._clock(), known)
        return known

    async def check(self, person: str, project: str) -> None:
        """Raise `Refused` when the person has no role or no place in the project, `ComponentDown` when unknown."""
        known = await self._known(person)
        if known is None or not known.roles & NOTEBOOK_ROLES or project not in known.projects:
            raise Refused("not_yours", "The project is not open to this person.")
