"""What a steward's page of a population shows, over the real engine's desk."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anonymisation.errors import AnonymisationError
from enclave.agreements.words import Dataset
from enclave.desks.populations import PopulationDesk
from enclave.errors import EnclaveError, Refused
from enclave.journeys.profile import HOUSE
from enclave.journeys.question import Order
from enclave.people import Person, Role
from tests.unit.journeys.engine_for_tests import Engine, engine, policy

STEWARD = Person("steward-a", frozenset({Role.STEWARD}), active=True, locale="fr")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Engine]:
    made = engine(tmp_path)
    yield made
    made.desk.ledger.close()
    made.recorder.close()


class EngineSocket:
    """The engine's two answers that the page needs, without the socket between."""

    def __init__(self, house: Engine) -> None:
        self._desk, self.down = house.desk, False

    def call(self, _: str, path: str, body: Any = None) -> dict[str, Any]:
        if path.startswith("/v1/populations/"):
            return self._desk.population("patients")
        if self.down:
            raise Refused("engine_busy", "The engine is busy.")
        try:
            return self._desk.profile(Order(**body))
        except (EnclaveError, AnonymisationError) as error:
            raise Refused(error.code, error.message) from None


def desk(house: Engine, socket: EngineSocket) -> PopulationDesk:
    held = Dataset(
        "stays", "ght-nord", "patients", "stays", version=1, manifest_sha256=house.manifests["stays", 1],
        policy_yaml=policy(),
    )  # fmt: skip
    made = object.__new__(PopulationDesk)
    for name, tool in (("agreements", SimpleNamespace(datasets=lambda: [held])), ("engine", socket)):
        object.__setattr__(made, name, tool)
    return made


def test_a_steward_sees_a_datasets_profile_or_that_there_is_none(house: Engine) -> None:
    socket = EngineSocket(house)
    page = desk(house, socket)
    (told,) = page.population(STEWARD, "patients").datasets
    assert (told["dataset"], told["profile"], told["linkable"]) == ("stays", None, True)
    house.desk.make_profile(house.order(person="steward-a", project=HOUSE, rho_micro=200_000))
    (told,) = page.population(STEWARD, "patients").datasets
    assert [name for name, _ in told["profile"]["histograms"]] == ["", "sex"]
    assert set(told["profile"]["columns"]) == {"days", "cost"}
    assert 0.5 in told["profile"]["probs"]
    socket.down = True
    with pytest.raises(Refused) as refused:
        page.population(STEWARD, "patients")
    assert refused.value.code == "engine_busy"
