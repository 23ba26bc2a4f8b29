"""A signer, a way to make events, and one whole trail of 300 entries that tests copy."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Signer
from audit.event import Event, new_id, utc_now
from audit.log import Log

ORIGIN = "enclave.example/trail"
SIZE = 300

Make = Callable[..., Event]


def event_json(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "v": 1,
        "id": new_id(),
        "type": "data.query",
        "phase": "single",
        "corr": new_id(),
        "occurred": utc_now(),
        "actor": {"id": "researcher-a", "kind": "person"},
        "source": {"service": "engine", "version": "0.1.0"},
        "project": "project-a",
        "object": [{"kind": "dataset", "id": "dataset-a"}],
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


@pytest.fixture(scope="session")
def make() -> Make:
    return lambda **changes: Event.model_validate(event_json(**changes))


@pytest.fixture(scope="session")
def raw() -> Callable[..., dict[str, Any]]:
    return event_json


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer(ORIGIN, Ed25519PrivateKey.generate())


@pytest.fixture
def log(tmp_path: Path, signer: Signer) -> Iterator[Log]:
    opened = Log(tmp_path / "trail", signer)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, signer: Signer, make: Make) -> Path:
    """A closed trail of 300 entries: one full tile, one partial, one above."""
    folder = tmp_path_factory.mktemp("whole") / "trail"
    log = Log(folder, signer)
    for start in range(0, SIZE, 50):
        for each in [log.submit(make()) for _ in range(start, start + 50)]:
            each.result()
    log.close()
    return folder


@pytest.fixture
def trail(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))
