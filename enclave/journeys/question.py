"""Question: a researcher asks; a differentially private answer comes back, or a refusal that says why.

Two halves in two processes. `order` is the service's: may this person, does the agreement allow it today, is the
dataset there. `Desk` is the engine's: is it a question about this table, can the budget pay, then the answer.
The engine trusts no order about data: manifest and policy are what the signature and the recorded hash say.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict

from anonymisation import adviser, profile
from anonymisation import answer as answering
from anonymisation.bounds import Table
from anonymisation.ledger import SCOPES, Balance, Charge, Ledger, Scope
from anonymisation.question import Question, check, parse
from anonymisation.question_shape import shape
from enclave.agreements.policy import load_policy, policy_sha256, to_table
from enclave.agreements.rules import may_ask
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset
from enclave.errors import BadInput, Damaged, NotFound
from enclave.journeys.matter import Described, Matter, declared_json, features_of
from enclave.journeys.objection_list import FOLDER, Objections, without
from enclave.journeys.profile import HOUSE, Profiles
from enclave.journeys.running import Run, Running, Watched
from enclave.journeys.sealed_answers import answer_name, seal_answer, unseal_answer
from enclave.people import Role
from enclave.recording import Actor, EventObject, Recorded, Recorder, Visitor, recorded
from vault.keys import KeyService
from vault.manifest import Manifest, read_manifest
from vault.sealed_list import SealedLists
from vault.shelf import Shelf, open_shelf
from vault.warm import WarmColumns

DEFAULT_QUESTIONS: Final = 50
"""A project's cap is meant for about so many questions: the price bounds are advised for unless another is said."""
SEED_LABEL: Final = "bounding|v1|"
RESEARCHER_ROLES: Final = (Role.RESEARCHER, Role.PROJECT_LEAD)


class Second(BaseModel):
    """The second dataset of a question that takes features of one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: str
    version: int
    manifest_sha256: str
    policy_yaml: str
    agreement: str


class Order(BaseModel):
    """What the service asks the engine for: who asks in which project, about which version, and the question."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    person: str
    role: str
    auth: str
    project: str
    agreement: str
    dataset: str
    version: int
    manifest_sha256: str
    policy_yaml: str
    project_cap: int
    person_cap: int
    objections: int
    second: Second | None = None
    question: dict[str, Any] | None = None
    rho_micro: int | None = None
    session: str | None = None

    @property
    def actor(self) -> Actor:
        """The person, as the trail writes them."""
        return Actor(self.person, "person", self.role, self.session, self.auth)


def order(
    agreements: AgreementStore,
    visitor: Visitor,
    project: str,
    dataset: str,
    question: Mapping[str, Any] | None,
    today: date,
) -> Order:
    """Ask the three questions the service can answer, of each dataset, and write the order for the engine.

    Raises `NotFound` and `Refused` with the rule that says no.
    """

    def allowed(dataset: str) -> tuple[Dataset, str]:
        about, held = agreements.dataset(dataset), agreements.agreements(project)
        return about, may_ask(visitor.person, agreements.project(project), about, held, today).id

    taken = features_of(question or {})
    asked = describe(visitor, project, *allowed(dataset), question)
    if taken is None:
        return asked
    other = describe(visitor, project, *allowed(taken))
    return asked.model_copy(
        update={"second": Second(**other.model_dump(include=set(Second.model_fields) - {"second"}))}
    )


def describe(
    visitor: Visitor,
    project: str,
    about: Dataset,
    agreement: str,
    question: Mapping[str, Any] | None = None,
    *,
    roles: tuple[Role, ...] = RESEARCHER_ROLES,
) -> Order:
    """Write an order about a dataset's current version; what it may be used for was asked before."""
    if about.version is None or about.manifest_sha256 is None or about.policy_yaml is None:
        raise Damaged(
            "dataset_without_version",
            f"The current version of {about.id} is not described.",
            "Bring its file in again.",
            dataset=about.id,
        )
    caps = load_policy(about.policy_yaml).privacy.caps
    actor = visitor.acting_as(*roles)
    return Order(
        person=visitor.person.id,
        role=actor.role,
        auth=visitor.auth,
        session=visitor.session,
        project=project,
        agreement=agreement,
        dataset=about.id,
        version=about.version,
        manifest_sha256=about.manifest_sha256,
        policy_yaml=about.policy_yaml,
        project_cap=caps.project,
        person_cap=caps.person,
        objections=about.objections,
        question=dict(question) if question is not None else None,
    )


@dataclass(frozen=True)
class Desk:
    """The engine's half: it opens the research shelf, keeps the ledger, and lets nothing exact out."""

    root: Path
    ledger: Ledger
    keys: KeyService
    recorder: Recorder
    warm: WarmColumns = field(default_factory=lambda: WarmColumns(0, 0))
    # opendp's core is not made for several threads at once; the shelf is read outside this lock.
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    running: Running = field(default_factory=Running)

    @cached_property
    def objections(self) -> Objections:
        """Who of each population objected; the lists lie beside the shelves."""
        return Objections(SealedLists(self.root.with_name(FOLDER)), self.keys, self.recorder)

    @cached_property
    def profiles(self) -> Profiles:
        """The datasets' profiles, over the same ledger and keys."""
        return Profiles(self.ledger, self.keys, self.recorder)

    def catalogue(self, asked: Order) -> dict[str, Any]:
        """Tell what may be asked of a dataset: declared names, domains and bounds, nothing from the data."""
        _, table = self._described(asked)
        return {"table": declared_json(table), "left": self._left(asked, table)}

    def price(self, asked: Order) -> dict[str, Any]:
        """Tell what a question costs and how exact its answer would be; free, and independent of the data."""
        matter = self._fitting(asked)
        return {**matter.price.to_json(), "left": self._left(asked, matter.table)}

    def ask(self, asked: Order) -> dict[str, Any]:
        """Answer, paying once; the same question of the same project again is the same answer, free.

        Two people of a project who ask the same at once pay once: the second waits for the first's answer.
        Raises `AnonymisationError` for a question that does not fit or that a budget cannot pay, before data is
        opened; after that the loss stays spent whatever happens.
        """
        matter = self._fitting(asked)
        key = (asked.project, matter.sha256, asked.dataset, asked.version)
        self._declare_caps(asked, matter.table)
        dropped = self._dropped(asked, matter.table, matter.question)
        with self.running.one(asked.person, key) as run:
            return _with_dropped(self._answered(asked, matter, run), dropped)

    def cancel(self, asked: Order) -> dict[str, Any]:
        """Stop a question of this person before its answer is stored; what was reserved for it stays spent."""
        sha256 = self._fitting(asked).sha256
        return {"question_sha256": sha256, "stopped": self.running.stop(asked.person, asked.project, sha256)}

    def _answered(self, asked: Order, matter: Matter, run: Run) -> dict[str, Any]:
        kept = self.ledger.replay(asked.project, matter.sha256, asked.dataset, asked.version)
        if kept is not None:
            return self._replayed(asked, matter, kept)
        with recorded(self.recorder, "data.query", **self._told(asked, matter)) as act:
            answer = self._paid(asked, matter, act.receipt, run)
            act.closing["dp"] = matter.loss
        return self._delivered(answer, asked, matter.table, act.receipt, replayed=False)

    def make_profile(self, asked: Order) -> dict[str, Any]:
        """Have the dataset's profile made, charged once to its population; told as projects will see it."""
        manifest, table = self._described(asked)

        def allow(cost: int) -> None:
            spent = self.ledger.left(table.population, HOUSE, "").project.spent
            self._set_cap("project", table.population, HOUSE, spent + cost, asked.actor)

        with self._one_at_a_time:
            made = self.profiles.make(
                table,
                asked.rho_micro or profile.RHO_MICRO,
                asked.actor,
                allow,
                lambda receipt: self._opened(asked, manifest, table, receipt)[1],
                self._seed(table),
            )
        return {"profile": made.to_json()}

    def profile(self, asked: Order) -> dict[str, Any]:
        """Give the dataset's profile and the bounds it advises for a question of this price; free."""
        _, table = self._described(asked)
        found = self.profiles.find(asked.dataset, asked.actor)
        if found is None:
            raise NotFound(
                "no_profile",
                f"Nobody has had a profile of {asked.dataset} made.",
                "Ask a steward: enclave dataset profile.",
                dataset=asked.dataset,
            )
        advice = adviser.advise(table, found, asked.rho_micro or asked.project_cap // DEFAULT_QUESTIONS)
        return {"profile": found.to_json(), "advice": advice.to_json()}

    def _opened(
        self, asked: Order, manifest: Manifest, table: Table, receipt: Recorded
    ) -> tuple[Shelf, list[pl.LazyFrame]]:
        """Open the research shelf: every reader of it gets its rows here, without those of people who objected."""
        denied = self.objections.units(table.population, table.unit, asked.objections, receipt)
        shelf = open_shelf(self.root, manifest, "research", self.keys, receipt, self.warm)
        return shelf, without(shelf.parts(), denied)

    def _dropped(self, asked: Order, table: Table, question: Question) -> dict[str, Any] | None:
        """Say which share of all rows the question's bound leaves out, where the dataset has a profile."""
        rows = question.unit.rows or table.rows
        found = None if table.per_row else self.profiles.find(asked.dataset, asked.actor)
        share = None if found is None else found.dropped(rows)
        if share is None:
            return None
        return {"rows": rows, "share": round(share, 4), "words": profile.words(share, rows)}

    def _seed(self, table: Table) -> bytes:
        return self.keys.mac("order", f"{SEED_LABEL}{table.population}".encode())

    def declare_population(self, population: str, cap: int, actor: Actor) -> None:
        """Give a population its cap if it has none yet; what was spent on these people stays spent."""
        if self.ledger.left(population, "", "").population.cap is None:
            self._set_cap("population", population, None, cap, actor)

    def set_cap(self, scope: Scope, population: str, own: str, cap: int, actor: Actor) -> None:
        """Set a cap that a steward decided on; what was spent stays spent."""
        self._set_cap(scope, population, own or None, cap, actor)

    def ledger_records(self) -> list[dict[str, Any]]:
        """Tell every line of the ledger with the event it was written under, for the reconciliation."""
        return [vars(one) for one in self.ledger.records()]

    def population(self, population: str) -> dict[str, Any]:
        """Tell a population's cap, every cap ever set on it, and every project's charges."""
        own = self.ledger.left(population, "", "").population
        return {
            "population": population,
            "cap": own.cap,
            "spent": own.spent,
            "caps": [vars(one) for one in self.ledger.caps(population)],
            "charges": [
                {"at": one.reserved, "answered": one.released is not None, **vars(one.reservation.charge)}
                for one in self.ledger.charges(population)
            ],
        }

    def left(self, asked: Order) -> dict[str, Any]:
        """Tell what is left of the three caps, and what this project spent on what."""
        _, table = self._described(asked)
        self._declare_caps(asked, table)
        balances = self.ledger.left(table.population, asked.project, asked.person)
        charges = [
            one
            for one in self.ledger.history(asked.project)
            if one.reservation.charge.population == table.population
        ]
        return {
            "population": table.population,
            "left": {scope: _balance(getattr(balances, scope)) for scope in SCOPES},
            "charges": [{"at": one.reserved, **vars(one.reservation.charge)} for one in charges],
        }

    def _paid(self, asked: Order, matter: Matter, receipt: Recorded, run: Run) -> dict[str, Any]:
        charge = Charge(
            population=matter.table.population,
            project=asked.project,
            person=asked.person,
            question_sha256=matter.sha256,
            dataset=asked.dataset,
            version=asked.version,
            rho_micro=matter.price.rho_micro,
            event_id=receipt.event_id,
        )
        reservation = self.ledger.reserve(charge, receipt)
        with run.held():  # from here on what happens, and how long it takes, depends on the data
            found = self._computed(asked, matter, receipt, run)
            answer = {
                **found.to_json(),
                "rho_micro": found.rho_micro,
                "epsilon": found.epsilon,
                "delta": found.delta,
            }
            sealed = self._seal(answer, asked, matter.sha256, receipt)
            self.ledger.release(reservation.id, sealed, receipt)
        return answer

    def _computed(self, asked: Order, matter: Matter, receipt: Recorded, run: Run) -> answering.Answer:
        shelf, parts = self._opened(asked, matter.manifest, matter.table, receipt)
        watched, others = Watched(parts, run), Watched(self._second_parts(asked, matter, receipt), run)
        seed = self._seed(matter.table)
        with shelf.named_failures(), self._one_at_a_time:
            found = answering.compute(matter.question, matter.table, watched, seed, matter.other, others)
            run.go_on()
        return found

    def _second_parts(self, asked: Order, matter: Matter, receipt: Recorded) -> list[pl.LazyFrame]:
        """Open the second dataset: it is about the same units, so the same people's rows are left out."""
        return [] if matter.second is None else self._opened(asked, *matter.second, receipt)[1]

    def _replayed(self, asked: Order, matter: Matter, kept: bytes) -> dict[str, Any]:
        told = self._told(asked, matter)
        with recorded(self.recorder, "data.query", **told, reason="replayed") as act:
            answer = self._unseal(kept, asked, matter.sha256, act.receipt)
        return self._delivered(answer, asked, matter.table, act.receipt, replayed=True)

    def _fitting(self, asked: Order) -> Matter:
        """Give what the order is about; raises before any data is opened where the question does not fit it."""
        if asked.question is None:
            raise BadInput("question_missing", "No question was asked.", "Send one.")
        manifest, table = self._described(asked)
        second = None if asked.second is None else self._described(asked.second)
        question = parse(asked.question)
        check(question, table, None if second is None else second[1])
        return Matter(manifest, table, question, second)

    def _described(self, asked: Order | Second) -> Described:
        """Read the manifest the trail knows, and the policy whose hash stands in it."""
        manifest = read_manifest(
            self.root,
            asked.dataset,
            asked.version,
            public_key=self.keys.public_key("manifest"),
            expected_sha256=asked.manifest_sha256,
        )
        if policy_sha256(asked.policy_yaml) != manifest.policy_sha256:
            raise Damaged(
                "policy_not_the_signed_one",
                f"The policy of {asked.dataset} is not the one its data was brought in under.",
                "Look at the trail, and restore house.db from a backup.",
                dataset=asked.dataset,
            )
        # a policy has versions of its own; the table's is that of the data
        return manifest, replace(to_table(load_policy(asked.policy_yaml)), version=asked.version)

    def _told(self, asked: Order, matter: Matter) -> dict[str, Any]:
        agreements = {asked.agreement, *([] if asked.second is None else [asked.second.agreement])}
        return {
            "actor": asked.actor,
            "project": asked.project,
            "objects": [
                *matter.datasets,
                EventObject("population", matter.table.population),
                EventObject("question", matter.sha256, sha256=matter.sha256),
                EventObject("shape", shape(matter.question)),
                *(EventObject("agreement", one) for one in sorted(agreements)),
            ],
            "dp": matter.loss,
        }

    def _delivered(
        self, answer: dict[str, Any], asked: Order, table: Table, receipt: Recorded, *, replayed: bool
    ) -> dict[str, Any]:
        spent = {name: answer.pop(name) for name in ("rho_micro", "epsilon", "delta")}
        left = self._left(asked, table)
        return {**answer, "spent": spent, "left": left, "replayed": replayed, "index": receipt.index}

    def _left(self, asked: Order, table: Table) -> dict[str, int | None]:
        """Tell what is left of each cap; a share nobody drew on yet is whole."""
        told = self.ledger.left(table.population, asked.project, asked.person).to_json()
        shares = {"project": asked.project_cap, "person": asked.person_cap}
        return {scope: shares.get(scope) if left is None else left for scope, left in told.items()}

    def _declare_caps(self, asked: Order, table: Table) -> None:
        """Give project and person the share the policy allows them, the first time they ask."""
        balances = self.ledger.left(table.population, asked.project, asked.person)
        if balances.project.cap is None:
            self._set_cap("project", table.population, asked.project, asked.project_cap, asked.actor)
        if balances.person.cap is None:
            self._set_cap("person", table.population, asked.person, asked.person_cap, asked.actor)

    def _set_cap(self, scope: Scope, population: str, own: str | None, cap: int, actor: Actor) -> None:
        objects = [EventObject("population", population), *([EventObject(scope, own)] if own else [])]
        key = f"{population}/{own}" if own else population
        with recorded(
            self.recorder, "dp.caps", actor=actor, objects=objects, counts={"rho_micro": cap}
        ) as act:
            self.ledger.set_cap(scope, key, cap, act.receipt)

    def _seal(self, answer: dict[str, Any], asked: Order, sha256: str, receipt: Recorded) -> bytes:
        return seal_answer(
            self.keys, asked.dataset, asked.version, _answer_name(asked, sha256), answer, receipt
        )

    def _unseal(self, kept: bytes, asked: Order, sha256: str, receipt: Recorded) -> dict[str, Any]:
        return unseal_answer(
            self.keys, asked.dataset, asked.version, _answer_name(asked, sha256), kept, receipt
        )


def _balance(balance: Balance) -> dict[str, int]:
    return {"cap": balance.cap or 0, "left": balance.left or 0}


def _answer_name(asked: Order, sha256: str) -> str:
    return answer_name(asked.project, asked.dataset, asked.version, sha256)


def _with_dropped(answer: dict[str, Any], dropped: dict[str, Any] | None) -> dict[str, Any]:
    """Add what the bounds leave out to an answer on its way; the sealed answer stays what was paid for."""
    if dropped is None:
        return answer
    words = {spoken: f"{said} {dropped['words'][spoken]}" for spoken, said in answer["words"].items()}
    return {**answer, "words": words, "dropped": dropped}
