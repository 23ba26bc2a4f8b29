"""A dataset's profile: a steward has it made once, it is charged to the population, kept sealed, and shown to projects free."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from anonymisation import noise, profile
from anonymisation.bounds import Table
from anonymisation.budget import DELTA
from anonymisation.ledger import Charge, Entry, Ledger
from anonymisation.profile import Profile
from enclave.errors import Refused
from enclave.journeys.sealed_answers import answer_name, seal_answer, unseal_answer
from enclave.recording import Actor, EventObject, Recorded, Recorder, recorded
from vault.errors import VaultRefused
from vault.keys import KeyService

HOUSE: Final = "House"
"""Whom a profile is charged to beside the population; no project's id has a capital letter."""
GONE: Final = frozenset({"key_shredded", "key_context_unknown"})

Read = Callable[[Recorded], Sequence[pl.LazyFrame]]


@dataclass(frozen=True)
class Profiles:
    """The profiles the ledger holds; an opened one stays in memory, where it is as public to projects as on their screens."""

    ledger: Ledger
    keys: KeyService
    recorder: Recorder
    _opened: dict[str, Profile | None] = field(default_factory=dict)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def find(self, dataset: str, actor: Actor) -> Profile | None:
        """Give the newest profile of a dataset, of whichever version; None where none was paid for, or it was shredded."""
        entry = self._newest(dataset)
        if entry is None:
            return None
        if entry.reservation.id not in self._opened:  # only the first waits, also for a profile being made
            with self._one_at_a_time:
                known = self._opened.get(entry.reservation.id)
                self._opened[entry.reservation.id] = known or self._unless_shredded(
                    entry.reservation.charge, actor
                )
        return self._opened[entry.reservation.id]

    def make(
        self,
        table: Table,
        rho_micro: int,
        actor: Actor,
        allow: Callable[[int], None],
        read: Read,
        seed: bytes,
    ) -> Profile:
        """Pay for a profile and make it; `allow` lets the house spend so much more on the population.

        Raises `Refused` where this version has one, `BudgetSpent` where the population's cap cannot pay, before data
        is opened; after that the loss stays spent whatever happens.
        """
        cost, sha256 = profile.price(table, rho_micro), profile.digest(table, rho_micro)
        with self._one_at_a_time:
            self._once(table)
            allow(cost)
            told = _told(actor, table.dataset, table.population, sha256)
            with recorded(self.recorder, "data.query", **told, dp=_loss(cost, table.unit)) as act:
                charge = Charge(
                    table.population,
                    HOUSE,
                    actor.id,
                    sha256,
                    table.dataset,
                    table.version,
                    cost,
                    act.receipt.event_id,
                )
                reservation = self.ledger.reserve(charge, act.receipt)
                made = profile.compute(table, rho_micro, read(act.receipt), seed)
                sealed = seal_answer(
                    self.keys, table.dataset, table.version, _name(charge), made.to_json(), act.receipt
                )
                self.ledger.release(reservation.id, sealed, act.receipt)
        return made

    def _newest(self, dataset: str) -> Entry | None:
        made = [
            one
            for one in self.ledger.history(HOUSE)
            if one.reservation.charge.dataset == dataset and one.released is not None
        ]
        return made[-1] if made else None

    def _once(self, table: Table) -> None:
        newest = self._newest(table.dataset)
        if newest is not None and newest.reservation.charge.version == table.version:
            raise Refused(
                "profile_there",
                f"Version {table.version} of {table.dataset} has its profile already.",
                "Projects see it free: `ds.profile()`.",
                dataset=table.dataset,
                version=table.version,
            )

    def _unless_shredded(self, charge: Charge, actor: Actor) -> Profile | None:
        """Open a profile; one whose version was shredded since is gone with it, and stops nobody's question."""
        try:
            return self._open(charge, actor)
        except VaultRefused as refused:
            if refused.code not in GONE:
                raise
            return None

    def _open(self, charge: Charge, actor: Actor) -> Profile:
        kept = self.ledger.replay(HOUSE, charge.question_sha256, charge.dataset, charge.version) or b""
        told = _told(actor, charge.dataset, charge.population, charge.question_sha256)
        with recorded(self.recorder, "data.query", **told, reason="replayed") as act:
            return Profile.from_json(
                unseal_answer(self.keys, charge.dataset, charge.version, _name(charge), kept, act.receipt)
            )


def _name(charge: Charge) -> str:
    return answer_name(HOUSE, charge.dataset, charge.version, charge.question_sha256)


def _told(actor: Actor, dataset: str, population: str, sha256: str) -> dict[str, Any]:
    about = [
        EventObject("dataset", dataset),
        EventObject("population", population),
        EventObject("question", sha256, sha256=sha256),
    ]
    return {"actor": actor, "objects": about}


def _loss(rho_micro: int, unit: str) -> dict[str, Any]:
    return {
        "mechanism": "gaussian",
        "rho_micro": rho_micro,
        "epsilon": f"{noise.epsilon(rho_micro):.6f}",
        "delta": f"{DELTA:.12f}",
        "unit": unit,
    }
