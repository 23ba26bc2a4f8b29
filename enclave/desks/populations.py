"""Populations as stewards and auditors see them: caps and spending from the engine's ledger, declarations from the books."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from enclave.agreements.policy import load_policy, to_table
from enclave.agreements.rules import has_role
from enclave.agreements.words import Dataset
from enclave.desks.people import PeopleDesk
from enclave.errors import EnclaveError, NotFound
from enclave.journeys.caps import MAY_LOOK
from enclave.journeys.matter import declared_json
from enclave.journeys.profile import HOUSE
from enclave.journeys.question import describe
from enclave.people import Person
from enclave.web.sheets import (
    CapChange,
    Json,
    PopulationCharge,
    PopulationSheet,
)


class PopulationDesk(PeopleDesk):
    """What may be lost about each population, what was, and what was declared."""

    def populations(self, person: Person) -> Sequence[PopulationSheet]:
        """List the populations that hold data."""
        has_role(person, MAY_LOOK)
        names = sorted({one.population for one in self._held()})
        return [_short(self._ledger_of(name)) for name in names]

    def population(self, person: Person, population: str) -> PopulationSheet:
        """Open one."""
        has_role(person, MAY_LOOK)
        datasets = [one for one in self._held() if one.population == population]
        if not datasets:
            raise NotFound(
                "no_such_population", "There is no such population with data.", "Check its id.", id=population
            )
        told = self._ledger_of(population)
        return PopulationSheet(
            told["population"],
            told["cap"] or 0,
            told["spent"],
            [
                CapChange(one["scope"], one["own"], one["rho_micro"], datetime.fromisoformat(one["at"]))
                for one in told["caps"]
            ],
            [
                PopulationCharge(datetime.fromisoformat(one["at"]), one["project"], one["rho_micro"])
                for one in told["charges"]
            ],
            [{**_declared(one), "profile": self._profile_of(person, one)} for one in datasets],
        )

    def _profile_of(self, person: Person, dataset: Dataset) -> Json | None:
        """Give the dataset's profile as the page shows it; None where nobody had one made."""
        asked = describe(self.visitor(person), HOUSE, dataset, "none", roles=tuple(sorted(MAY_LOOK)))
        try:
            told = self.engine.call("POST", "/v1/profile", asked.model_dump())
        except EnclaveError as refusal:
            if refusal.code == "no_profile":
                return None
            raise
        return shown_profile(told["profile"])

    def _held(self) -> list[Dataset]:
        return [one for one in self.agreements.datasets() if one.version is not None]

    def _ledger_of(self, population: str) -> dict[str, Any]:
        return self.engine.call("GET", f"/v1/populations/{population}")


def shown_profile(told: Json) -> Json:
    """Give a profile's histograms without the bins that are lost in noise, rows per unit first under no name."""
    histograms = {"": told["rows_per_unit"], **told["groups_per_unit"]}
    clear = {name: [one for one in bins if one["clear"]] for name, bins in histograms.items()}
    probs = [float(one["prob"]) for one in next(iter(told["columns"].values()), [])]
    return {**told, "histograms": [(name, bins) for name, bins in clear.items() if bins], "probs": probs}


def _short(told: Mapping[str, Any]) -> PopulationSheet:
    return PopulationSheet(told["population"], told["cap"] or 0, told["spent"])


def _declared(dataset: Dataset) -> Json:
    return declared_json(to_table(load_policy(dataset.policy_yaml or "")))
