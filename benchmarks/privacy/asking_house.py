"""A house that holds the generated hospital stays and answers questions about them: real intake, keys, shelf, ledger and trail."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from anonymisation.ledger import Ledger
from enclave.agreements.words import Dataset
from enclave.demo.cast import HOSPITAL, policy
from enclave.demo.hospital_stays import write_csv
from enclave.journeys.question import Desk, Order, describe
from enclave.people import Person, Role
from enclave.recording import Actor, Visitor
from tests.unit.intake.intake_house import IntakeHouse, intake_house
from tests.unit.vault.helpers import PASSPHRASE
from vault.keyring import create_keyring
from vault.keys import Rights

POPULATION = "hospital-patients"
POPULATION_CAP = 2_000_000
STEWARD = Actor("steward-a", "person", "steward")


@dataclass(frozen=True)
class AskingHouse:
    """The engine's desk over one intake, and the service's half that writes its orders."""

    intake: IntakeHouse
    desk: Desk
    dataset: Dataset
    project: str

    def order(self, person: str, question: Mapping[str, Any]) -> Order:
        """Write an order as the service does and read it as the engine does."""
        visitor = Visitor(Person(person, frozenset({Role.RESEARCHER})))
        written = describe(visitor, self.project, self.dataset, "agreement-a", question)
        return Order.model_validate_json(written.model_dump_json())

    def close(self) -> None:
        """Let the ledger and the trail go."""
        self.desk.ledger.close()
        self.intake.recorder.close()


def asking_house(folder: Path, stays: pl.DataFrame, project: str = "cardio") -> AskingHouse:
    """Bring the stays in under the demonstration's policy and open a desk with the policy's caps."""
    create_keyring(folder / "keyring.json", PASSPHRASE)
    state = folder / "state"
    state.mkdir()
    house = intake_house(state, folder / "keyring.json", buckets=8, unpacked_bytes_max=10**10)
    house.declare(HOSPITAL, POPULATION, policy(HOSPITAL))
    source = folder / "stays.csv"
    write_csv(source, stays)
    house.bring(source, policy(HOSPITAL))
    desk = Desk(
        house.tools.root, Ledger.open(folder / "ledger.db"), house.keys(Rights.ENGINE), house.recorder
    )
    desk.declare_population(POPULATION, POPULATION_CAP, STEWARD)
    return AskingHouse(house, desk, house.tools.agreements.dataset(HOSPITAL), project)
