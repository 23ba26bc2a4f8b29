"""The end of what the trail keeps of persons: read under record, erased in time, destroyed by two.

The durations are the house's settings, the last days of projects come from its books; the recorder checks both
against the entry that announces the act, and does nothing without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from audit.retention import ASKED, ERASE, PRUNE, READ, Rules
from enclave.agreements.rules import has_role
from enclave.agreements.store import AgreementStore
from enclave.details_door import DetailsDoor
from enclave.errors import Refused
from enclave.people import Role
from enclave.recording import Actor, EventObject, Recorder, Visitor, recorded
from enclave.settings import TrailSettings

MAY_READ_DETAILS: Final = frozenset({Role.AUDITOR, Role.DPO})
ENDS_IN_TIME: Final = frozenset({Role.DPO})
DETAILS: Final = EventObject("trail", "details")
LOG: Final = EventObject("trail", "log")


@dataclass(frozen=True)
class RetentionTools:
    """What an erasure needs."""

    recorder: Recorder
    door: DetailsDoor
    agreements: AgreementStore
    rules: Rules

    def ends(self) -> Mapping[str, date]:
        """Give the last day of every project the house knows."""
        return {project.id: project.ends_on for project in self.agreements.projects()}


def rules_of(settings: TrailSettings) -> Rules:
    """Read the durations; raises `audit.errors.BadInput` below the floor or without a reason above it."""
    return Rules(settings.access_days, settings.decision_years, settings.retention_reason)


def read_detail(recorder: Recorder, door: DetailsDoor, visitor: Visitor, index: int) -> dict[str, Any]:
    """Open the detail of an entry; that it was opened, and by whom, is in the trail before it is."""
    has_role(visitor.person, MAY_READ_DETAILS)
    actor = visitor.acting_as(Role.AUDITOR, Role.DPO)
    receipt = recorder.single(READ, actor=actor, objects=[EventObject("detail", str(index))])
    return door.read(index, receipt.index)


def survey(tools: RetentionTools, visitor: Visitor) -> dict[str, Any]:
    """Say what is held under which rule, and what would be erased today."""
    has_role(visitor.person, MAY_READ_DETAILS)
    return tools.door.survey(tools.rules, tools.ends())


def apply(tools: RetentionTools, visitor: Visitor) -> dict[str, Any]:
    """Erase what has had its time; the trail says under which durations, and why where they are long."""
    has_role(visitor.person, ENDS_IN_TIME)
    counts, ends = tools.rules.as_counts(), tools.ends()
    with recorded(
        tools.recorder,
        ERASE,
        actor=visitor.acting_as(Role.DPO),
        objects=[DETAILS],
        counts=counts,
        policy=tools.rules.as_policy(ends),
        reason=tools.rules.reason or None,
    ) as act:
        done = tools.door.apply(tools.rules, ends, act.receipt.index)
        act.closing["counts"] = {**counts, **done["expired"]}
    return done


def of_person(tools: RetentionTools, visitor: Visitor, person: str) -> dict[str, Any]:
    """Say how many details are kept of a person, and who has asked for their end."""
    has_role(visitor.person, MAY_READ_DETAILS)
    return tools.door.person(person)


def ask(tools: RetentionTools, visitor: Visitor, person: str) -> None:
    """Ask that a person's key be destroyed; nothing happens until the holder of the other role agrees.

    Raises `Refused` where nothing is kept of the person.
    """
    if not of_person(tools, visitor, person)["held"]:
        raise Refused(
            "nothing_to_erase",
            f"The trail keeps no detail of {person}.",
            "Check the id; what an entry itself says cannot be erased.",
            person=person,
        )
    _ask(tools, visitor, ERASE, EventObject("person", person))


def agree(tools: RetentionTools, visitor: Visitor, person: str) -> int:
    """Agree to what the other one asked, and have the key destroyed; gives how many details went with it.

    Raises `Refused` where nobody asked; whoever asked cannot agree, and the recorder looks at that again.
    """
    asked = _asked(of_person(tools, visitor, person))
    about = [EventObject("person", person)]
    with recorded(
        tools.recorder, ERASE, actor=_other(visitor, asked["role"]), objects=about, reason="agreed"
    ) as act:
        gone: int = tools.door.destroy(person, asked["index"], act.receipt.index)["erased"]
        act.closing["counts"] = {"erased": gone}
    return gone


def prunable(tools: RetentionTools, visitor: Visitor) -> dict[str, Any]:
    """Say how far the log may be cut today, how far it is, and who asked for it."""
    has_role(visitor.person, MAY_READ_DETAILS)
    return tools.door.prunable(tools.rules, tools.ends())


def ask_to_prune(tools: RetentionTools, visitor: Visitor) -> None:
    """Ask that the log be cut as far as it may be; nothing happens until the other one agrees.

    Raises `Refused` where nothing more may go.
    """
    told = prunable(tools, visitor)
    if told["boundary"] <= told["pruned"]:
        raise Refused("nothing_to_prune", "No more entries may go today.", "See `enclave audit retention`.")
    _ask(tools, visitor, PRUNE, LOG)


def agree_to_prune(tools: RetentionTools, visitor: Visitor) -> dict[str, Any]:
    """Agree, and have the log cut as far as it may be; the trail announces how far before anything goes."""
    told = prunable(tools, visitor)
    asked = _asked(told)
    counts, ends = {**tools.rules.as_counts(), "boundary": told["boundary"]}, tools.ends()
    with recorded(
        tools.recorder,
        PRUNE,
        actor=_other(visitor, asked["role"]),
        objects=[LOG],
        counts=counts,
        policy=tools.rules.as_policy(ends),
        reason=tools.rules.reason or None,
    ) as act:
        done = tools.door.prune(tools.rules, ends, asked["index"], act.receipt.index)
        act.closing["counts"] = {**counts, "removed": done["removed"]}
    return done


def _ask(tools: RetentionTools, visitor: Visitor, act: str, about: EventObject) -> None:
    actor = visitor.acting_as(Role.AUDITOR, Role.DPO)
    tools.recorder.single(act, actor=actor, objects=[about], reason=ASKED)


def _asked(told: Mapping[str, Any]) -> dict[str, Any]:
    """Give who asked; raises `Refused` where nobody did."""
    asked: dict[str, Any] | None = told["asked"]
    if asked is None:
        raise Refused(
            "nobody_asked", "Nobody has asked for this.", "Ask first; somebody with the other role agrees."
        )
    return asked


def _other(visitor: Visitor, role: str) -> Actor:
    """Act under the role that whoever asked did not act under, if one holds both."""
    return visitor.acting_as(*sorted(MAY_READ_DETAILS - {role}), *sorted(MAY_READ_DETAILS))
