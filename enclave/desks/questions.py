"""Datasets and questions: the service's half of the journey, then the engine."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from anonymisation import mock, rehearsal
from anonymisation.bounds import Table
from anonymisation.ledger import SCOPES
from anonymisation.question import check, parse
from enclave.agreements.policy import load_policy, to_table
from enclave.agreements.rules import may_ask
from enclave.agreements.words import Dataset
from enclave.desks.people import PeopleDesk
from enclave.desks.tools import today
from enclave.errors import EnclaveError, NotFound, Refused
from enclave.journeys.matter import dataset_of, features_of
from enclave.journeys.question import RESEARCHER_ROLES, describe, order
from enclave.people import Person, Role
from enclave.recording import EventObject, Visitor
from enclave.web.sheets import (
    Allowance,
    BudgetSheet,
    Charge,
    Json,
    OutsideLoss,
)

LOOKERS_ON = frozenset({Role.STEWARD, Role.SENIOR_STEWARD, Role.AUDITOR})


class QuestionDesk(PeopleDesk):
    """What may be asked, what it costs, the answer, and what is left."""

    def datasets(self, person: Person, project: str) -> Sequence[Json]:
        """List the datasets this project may ask today, as declared."""
        visitor = self.visitor(person, project)
        return [self._card(visitor, project, dataset) for dataset in self._askable(person, project)]

    def price(self, person: Person, project: str, question: Json) -> Json:
        """Tell what a question costs and how exact its answer would be."""
        return self.engine.call("POST", "/v1/price", self._order(person, project, question))

    def ask(self, person: Person, project: str, question: Json) -> Json:
        """Give the answer, or the refusal of the first rule that says no."""
        return self.engine.call("POST", "/v1/ask", self._order(person, project, question))

    def mock(self, person: Person, project: str, dataset: str, rows: int, seed: int) -> Json:
        """Make rows up from what was declared, here: neither the engine nor a shelf is asked."""
        table = self._declared(person, project, {"dataset": dataset})
        made = mock.as_columns(mock.rows(table, rows, seed))
        return {"dataset": table.dataset, "version": table.version, "columns": made}

    def rehearse(self, person: Person, project: str, question: Json, rows: int, seed: int) -> Json:
        """Run a question exactly on made-up rows, here: neither the engine nor a shelf is asked."""
        asked = parse(question)
        ordered = self._order(person, project, question)
        table = to_table(load_policy(ordered["policy_yaml"]))
        second = ordered["second"]
        other = None if second is None else to_table(load_policy(second["policy_yaml"]))
        check(asked, table, other)
        left = dict.fromkeys(SCOPES, 0)
        return {**rehearsal.rehearse(asked, table, rows, seed, other), "left": left, "index": None}

    def profile(self, person: Person, project: str, dataset: str, rho_micro: int | None) -> Json:
        """Give the dataset's profile, paid once by the house, and the bounds it advises; free."""
        asked = self._order(person, project, {"dataset": dataset}) | {
            "question": None,
            "rho_micro": rho_micro,
        }
        return self.engine.call("POST", "/v1/profile", asked)

    def running(self, person: Person, project: str) -> Sequence[Json]:
        """List the person's questions that have no answer yet."""
        told = self.engine.call("POST", "/v1/running", {"person": person.id, "project": project})
        running: list[Json] = told["running"]
        return running

    def cancel(self, person: Person, project: str, question: Json) -> Json:
        """Stop the person's own running question; what was reserved for it stays spent."""
        return self.engine.call("POST", "/v1/cancel", self._order(person, project, question))

    def budget(self, person: Person, project: str) -> Sequence[BudgetSheet]:
        """Tell what is left, one sheet for each population the project asks about."""
        about = self.agreements.project(project)
        if person.id not in about.people and not person.roles & LOOKERS_ON:
            raise NotFound(
                "no_such_project", f"There is no project named {project}.", "Check its id.", id=project
            )
        seen: dict[str, BudgetSheet] = {}
        for dataset in self._covered(project):
            if dataset.population not in seen:
                seen[dataset.population] = self._sheet(person, project, dataset)
        return list(seen.values())

    def _order(self, person: Person, project: str, question: Mapping[str, Any]) -> dict[str, Any]:
        visitor, dataset = self.visitor(person, project), dataset_of(question)
        try:
            asked = order(self.agreements, visitor, project, dataset, question, today())
        except Refused as refusal:
            about = {dataset, features_of(question) or dataset}
            self._record_refusal(visitor, project, sorted(about), refusal)
            raise
        return asked.model_dump()

    def _declared(self, person: Person, project: str, question: Mapping[str, Any]) -> Table:
        """Give what was declared about a dataset this person may ask about today."""
        return to_table(load_policy(self._order(person, project, question)["policy_yaml"]))

    def _record_refusal(
        self, visitor: Visitor, project: str, datasets: Sequence[str], refusal: EnclaveError
    ) -> None:
        self.recorder.single(
            "data.denied",
            actor=visitor.acting_as(*RESEARCHER_ROLES),
            objects=[EventObject("dataset", dataset) for dataset in datasets],
            project=project,
            outcome="denied",
            reason=refusal.code,
        )

    def _covered(self, project: str) -> list[Dataset]:
        """The datasets agreements of this project speak of, that hold data."""
        ids = sorted({agreement.dataset for agreement in self.agreements.agreements(project)})
        found = [self.agreements.dataset(dataset) for dataset in ids]
        return [dataset for dataset in found if dataset.version is not None]

    def _askable(self, person: Person, project: str) -> list[Dataset]:
        about, agreements = self.agreements.project(project), self.agreements.agreements(project)

        def allowed(dataset: Dataset) -> bool:
            try:
                may_ask(person, about, dataset, agreements, today())
            except Refused:
                return False
            return True

        return [dataset for dataset in self._covered(project) if allowed(dataset)]

    def _card(self, visitor: Visitor, project: str, dataset: Dataset) -> Json:
        asked = order(self.agreements, visitor, project, dataset.id, None, today())
        told = self.engine.call("POST", "/v1/catalogue", asked.model_dump())
        title = dataset.title_en if visitor.person.locale == "en" and dataset.title_en else dataset.title_fr
        return {**told["table"], "title": title, "left": told["left"]}

    def _sheet(self, person: Person, project: str, dataset: Dataset) -> BudgetSheet:
        asked = describe(self.visitor(person), project, dataset, agreement="none")
        told = self.engine.call("POST", "/v1/left", asked.model_dump())
        left: dict[str, dict[str, int]] = told["left"]
        shares = {scope: Allowance(one["cap"], one["left"]) for scope, one in left.items()}
        return BudgetSheet(
            project,
            told["population"],
            shares["population"],
            shares["project"],
            shares["person"],
            [_charge(one) for one in told["charges"]],
            self._outside(project, told["population"]),
        )

    def _outside(self, project: str, population: str) -> list[OutsideLoss]:
        """What was released about the same people, by any project: the stated loss does not speak of it.

        Another project's release is named by its project, not by its title.
        """
        near = {one.project for one in self.agreements.agreements() if self._about(one.dataset) == population}
        released = (
            one for one in self.releases.requests() if one.package is not None and one.project in near
        )
        return [
            OutsideLoss(one.since, "release", one.title if one.project == project else one.project)
            for one in released
        ]

    def _about(self, dataset: str) -> str:
        return self.agreements.dataset(dataset).population


def _charge(told: Mapping[str, Any]) -> Charge:
    when = datetime.fromisoformat(told["at"])
    return Charge(when, told["person"], told["dataset"], told["rho_micro"], told["question_sha256"])
