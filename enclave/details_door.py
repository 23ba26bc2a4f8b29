"""The house's way to what the recorder keeps sealed: how a detail stands, opening it, ending it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from audit.retention import Rules
from enclave.local_http import LocalService

# An erasure rewrites pages and empties the write-ahead file; that may take longer than recording an event.
SECONDS: Final = 300.0


class DetailsDoor:
    """Asks the recorder; each act takes the index of the entry that announced it, and the recorder looks there."""

    def __init__(self, socket: Path) -> None:
        self._recorder = LocalService("recorder", socket, SECONDS)

    def state(self, index: int) -> dict[str, Any]:
        """Say how an entry's detail stands: `none`, `sealed`, `erased` (rule, at, entry) or `lost`."""
        return self._recorder.call("GET", f"/v1/details/{index}")

    def read(self, index: int, receipt: int) -> dict[str, Any]:
        """Open an entry's detail."""
        return self._recorder.call("POST", f"/v1/details/{index}", {"receipt": receipt})

    def survey(self, rules: Rules, ends: Mapping[str, date]) -> dict[str, Any]:
        """Say what is held and what has had its time; nothing is changed."""
        return self._recorder.call("POST", "/v1/retention", _told(rules, ends))

    def apply(self, rules: Rules, ends: Mapping[str, date], receipt: int) -> dict[str, Any]:
        """Erase what has had its time."""
        return self._recorder.call("POST", "/v1/retention", {**_told(rules, ends), "receipt": receipt})

    def person(self, person: str) -> dict[str, Any]:
        """Say how many details are kept of a person, and who asked for their end (`asked`), if anybody did."""
        return self._recorder.call("GET", f"/v1/persons/{person}")

    def destroy(self, person: str, asked: int, receipt: int) -> dict[str, Any]:
        """Destroy a person's key and what it sealed."""
        body = {"person": person, "asked": asked, "receipt": receipt}
        return self._recorder.call("POST", "/v1/persons/destroy", body)

    def prunable(self, rules: Rules, ends: Mapping[str, date]) -> dict[str, Any]:
        """Say how far the log may be cut (`boundary`), how far it is (`pruned`), and who asked for it (`asked`)."""
        return self._recorder.call("POST", "/v1/prune", _told(rules, ends))

    def prune(self, rules: Rules, ends: Mapping[str, date], asked: int, receipt: int) -> dict[str, Any]:
        """Cut the log where the receipt announces it."""
        body = {**_told(rules, ends), "asked": asked, "receipt": receipt}
        return self._recorder.call("POST", "/v1/prune", body)


def _told(rules: Rules, ends: Mapping[str, date]) -> dict[str, Any]:
    days = {project: day.isoformat() for project, day in ends.items()}
    reason = {"reason": rules.reason} if rules.reason else {}
    return {**rules.as_counts(), **reason, "ends": days}
