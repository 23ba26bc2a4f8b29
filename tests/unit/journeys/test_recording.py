"""Intent, change, outcome; denials aside."""

from dataclasses import dataclass, field

import pytest

from enclave import recording
from enclave.errors import ComponentDown, Refused
from enclave.people import Person, Role
from enclave.recording import EventObject, Visitor, recorded
from tests.unit.journeys.conftest import OPERATOR, World
from vault.errors import VaultDamaged, VaultRefused

ABOUT = [EventObject("project", "asthma")]


@dataclass
class Change:
    done: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (Refused("role_missing", "no"), "denied", "role_missing"),
        (VaultRefused("key_refused", "no"), "denied", "key_refused"),
        (VaultDamaged("shelf_damaged", "no"), "failed", "shelf_damaged"),
        (ComponentDown("keys_down", "no"), "failed", "keys_down"),
        (ValueError("a cell value"), "failed", "unexpected"),
        (KeyboardInterrupt(), "failed", "unexpected"),
    ],
)
def test_an_act_that_ends_badly_is_closed_with_its_reason(
    world: World, error: BaseException, outcome: str, reason: str
):
    with (
        pytest.raises(type(error)),
        recorded(world.recorder, "admin.project", actor=OPERATOR, objects=ABOUT),
    ):
        raise error
    assert world.recorder.told("admin.project")[-1] == ("admin.project", outcome, reason)
    assert "a cell value" not in str(world.recorder.events)


def test_no_receipt_no_change(world: World):
    change = Change()
    world.recorder.down = True
    with (
        pytest.raises(ComponentDown),
        recorded(world.recorder, "admin.project", actor=OPERATOR, objects=ABOUT),
    ):
        change.done.append("changed")
    assert change.done == []


def test_what_is_learnt_meanwhile_is_said_with_the_success(world: World):
    with recorded(world.recorder, "admin.project", actor=OPERATOR, objects=ABOUT, reason="begun") as act:
        act.reason = "ended"
        act.closing["counts"] = {"rows": 12}
    intent, outcome = world.recorder.events[-2:]
    assert (intent["reason"], outcome["reason"]) == ("begun", "ended")
    assert outcome["counts"] == {"rows": 12}
    assert intent["corr"] == outcome["corr"]


def test_a_denial_is_written_without_keeping_anybody_waiting(world: World):
    denials = world.desk.denials
    for reason in ("role_missing", "not_a_member"):
        denials.tell("release.create", reason, actor=OPERATOR, objects=ABOUT, project="asthma")
    denials.settle()
    assert world.recorder.told("release.create") == [
        ("release.create", "denied", "role_missing"),
        ("release.create", "denied", "not_a_member"),
    ]


def test_a_flood_of_denials_waits_for_the_recorder(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "MOST_ON_THEIR_WAY", 2)
    for _ in range(5):
        world.desk.denials.tell("release.create", "role_missing", actor=OPERATOR, objects=ABOUT)
        assert len(world.desk.denials._open) <= 2
    world.desk.denials.settle()
    assert len(world.recorder.told("release.create")) == 5


def test_a_denial_the_recorder_does_not_take_stops_nobody(world: World):
    world.recorder.down = True
    world.desk.denials.tell("release.create", "role_missing", actor=OPERATOR, objects=ABOUT)
    world.desk.denials.settle()
    assert world.recorder.told("release.create") == []


@pytest.mark.parametrize(
    ("held", "role"),
    [
        ({Role.STEWARD}, "steward"),
        ({Role.STEWARD, Role.SENIOR_STEWARD}, "senior_steward"),
        ({Role.AUDITOR}, "none"),
        (set(), "none"),
    ],
)
def test_a_person_acts_under_a_role_they_hold(held: set[Role], role: str):
    visitor = Visitor(Person("steward-a", frozenset(held)), "notebook", "ab12")
    actor = visitor.acting_as(Role.SENIOR_STEWARD, Role.STEWARD)
    assert (actor.id, actor.kind, actor.role, actor.auth, actor.session) == (
        "steward-a",
        "person",
        role,
        "notebook",
        "ab12",
    )
