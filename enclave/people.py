"""Who acts in the house: a person, and the roles the house knows them by."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Role(StrEnum):
    """What a person may be asked to do; `house.db` is the authority, hub groups are written from it."""

    RESEARCHER = "researcher"
    PROJECT_LEAD = "project_lead"
    STEWARD = "steward"
    SENIOR_STEWARD = "senior_steward"
    PARTNER_DELEGATE = "partner_delegate"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    DPO = "dpo"
    INTAKE_AGENT = "intake_agent"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Person:
    """A person as the house knows them now; re-read on every request, never cached."""

    id: str
    roles: frozenset[Role]
    active: bool = True
    locale: Literal["fr", "en"] = "fr"
