"""What has been agreed before any data moves: who shares which data, with which project, for what."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Literal


class Use(StrEnum):
    """What an agreement may allow with a dataset."""

    QUESTIONS = "questions"
    EXTRACTS = "extracts"


class MemberRole(StrEnum):
    """What a person is within a project."""

    RESEARCHER = "researcher"
    LEAD = "lead"


OnSilence = Literal["approve", "reject"]


@dataclass(frozen=True)
class Partner:
    """Who shares data. With `veto`, releases of projects using the data wait for a delegate's word."""

    id: str
    title_fr: str
    title_en: str
    delegates: frozenset[str] = frozenset()
    veto: bool = False
    answer_days: int = 10
    on_silence: OnSilence = "reject"


@dataclass(frozen=True)
class Dataset:
    """Data of a partner about a population; `version` is the current one, None before the first intake.

    `confirmed_policy_sha256` is the policy a steward confirmed for the next intake, `policy_sha256` the one under which
    the current version came in. `objections` is how long the engine's list of its population is, as far as the house knows:
    no question is answered by a shorter one.
    """

    id: str
    partner: str
    population: str
    title_fr: str
    title_en: str = ""
    questions_only: bool = False
    confirmed_policy_sha256: str | None = None
    version: int | None = None
    manifest_sha256: str | None = None
    policy_sha256: str | None = None
    policy_yaml: str | None = None
    objections: int = 0


@dataclass(frozen=True)
class DatasetVersion:
    """One intake of a dataset: what the manifest and the policy were."""

    dataset: str
    version: int
    manifest_sha256: str
    policy_sha256: str
    policy_yaml: str
    shredded: bool = False


@dataclass(frozen=True)
class Grant:
    """A person's place in a project."""

    person: str
    project: str
    role: MemberRole


@dataclass(frozen=True)
class Project:
    """A piece of research: its members now, and the last day it runs (inclusive)."""

    id: str
    title_fr: str
    ends_on: date
    title_en: str = ""
    active: bool = True
    members: tuple[Grant, ...] = ()

    @property
    def people(self) -> frozenset[str]:
        """The ids of the members."""
        return frozenset(grant.person for grant in self.members)


@dataclass(frozen=True)
class Agreement:
    """A partner lets a project use a dataset for a purpose, from a day to a day (both inclusive)."""

    id: str
    partner: str
    dataset: str
    project: str
    purpose: str
    valid_from: date
    valid_to: date
    allows: frozenset[Use]
