"""A real data socket in front of the client: the notebook's API of the house for tests, served by uvicorn."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn

from enclave.web.apps import data_app
from notebooks_image import enclave_client
from tests.unit.web.house_for_tests import SESSION, HouseForTests


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HouseForTests, Path]]:
    """The house and the socket of one notebook session."""
    house = HouseForTests()
    with serving(house, tmp_path_factory.mktemp("run")) as path:
        yield house, path


@contextmanager
def serving(house: HouseForTests, run: Path) -> Iterator[Path]:
    """Serve a house's notebook API on the socket of one session."""
    folder = run / "n" / SESSION / "data"
    folder.mkdir(parents=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "data.sock"))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(data_app(house), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield folder / "data.sock"
    server.should_exit = True
    thread.join()


@pytest.fixture
def house(served: tuple[HouseForTests, Path], monkeypatch: pytest.MonkeyPatch) -> HouseForTests:
    house, path = served
    house.asked.clear()
    house.requests.clear()
    monkeypatch.setenv("ENCLAVE_SOCK", str(path))
    return house


@pytest.fixture
def enclave(house: HouseForTests) -> Iterator[ModuleType]:
    """The client as a notebook has it, speaking English and back in French afterwards."""
    enclave_client.language("en")
    yield enclave_client
    enclave_client.language("fr")
