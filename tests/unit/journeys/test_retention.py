"""What is kept of persons, read under record and ended: the journey on a real log, its doors asked over HTTP."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from audit import recorder as trail
from audit.errors import BadInput
from audit.event import Event, new_id
from audit.retention import Rules
from audit.retention_doors import Keeper
from audit.verify import verify
from enclave.desks.scrutiny import ScrutinyDesk
from enclave.details_door import DetailsDoor
from enclave.errors import NotFound, Refused
from enclave.journeys import retention as journey
from enclave.journeys.retention import RetentionTools
from enclave.people import Person, Role
from enclave.recording import Actor, EventObject, Visitor, apart
from enclave.settings import TrailSettings
from tests.unit.journeys.conftest import World
from tests.unit.journeys.recorder_for_tests import RecorderForTests

AUDITOR = Visitor(Person("auditor-a", frozenset({Role.AUDITOR})))
DPO = Visitor(Person("dpo-a", frozenset({Role.DPO})))
BOTH = Visitor(Person("dpo-b", frozenset({Role.DPO, Role.AUDITOR})))
STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD})))
PERSON = "researcher-a"


class Place:
    """The tools, over a log whose doors see a clock that can be set forward."""

    def __init__(self, recorder: RecorderForTests, tools: RetentionTools) -> None:
        self.recorder, self.tools = recorder, tools
        self.ahead = timedelta()
        app = trail.create_app(recorder.log)
        recorder.log._clock = self.clock
        app.state.keeper = Keeper(recorder.log, self.clock)
        tools.door._recorder._http = TestClient(app)

    def clock(self) -> str:
        return (datetime.now(UTC) + self.ahead).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def login(self, person: str = PERSON) -> int:
        return self.recorder.single(
            "auth.login",
            actor=Actor(person, "person", "none"),
            objects=[EventObject("person", person)],
            **apart(person, client="192.0.2.17", browser=""),
        ).index


@pytest.fixture
def place(world: World, tmp_path: Path) -> Place:
    door = DetailsDoor(tmp_path / "no.sock")
    return Place(world.recorder, RetentionTools(world.recorder, door, world.desk.agreements, Rules()))


def test_a_detail_is_read_by_an_auditor_or_a_dpo_and_recorded_first(place: Place) -> None:
    index = place.login()
    for visitor in (AUDITOR, DPO):
        read = journey.read_detail(place.recorder, place.tools.door, visitor, index)
        assert read["words"] == {"client": "192.0.2.17"}
        assert place.recorder.events[-1]["type"] == "audit.detail"
        assert place.recorder.events[-1]["actor"]["id"] == visitor.person.id
    with pytest.raises(Refused) as refusal:
        journey.read_detail(place.recorder, place.tools.door, STEWARD, index)
    assert refusal.value.code == "role_missing"
    assert place.tools.door.state(index) == {"state": "sealed"}


def test_the_survey_knows_the_projects_of_the_house_and_changes_nothing(place: Place) -> None:
    place.login()
    told = journey.survey(place.tools, AUDITOR)
    assert told["held"] == {"access": 1}
    assert told["expired"] == {}
    assert date.fromisoformat(told["next"]) > date(2026, 11, 25)
    assert set(place.tools.ends()) == {one.id for one in place.tools.agreements.projects()}


def test_what_is_past_its_time_goes_when_a_dpo_says_so_and_the_trail_holds_the_durations(
    place: Place,
) -> None:
    old = place.login()
    with pytest.raises(Refused):
        journey.apply(place.tools, AUDITOR)
    place.ahead = timedelta(days=400)
    young = place.login()
    assert journey.apply(place.tools, DPO)["expired"] == {"access": 1}
    assert place.tools.door.state(old)["rule"] == "access"
    assert place.tools.door.state(young) == {"state": "sealed"}
    counts = {"access_days": 365, "decision_years": 10}
    intent, outcome = place.recorder.events[-2:]
    assert intent["counts"] == counts
    assert outcome["counts"] == counts | {"access": 1}
    assert outcome["outcome"] == "success"
    assert place.recorder.verified().integrity


def test_longer_durations_carry_their_reason(place: Place) -> None:
    place.login()
    tools = RetentionTools(
        place.recorder, place.tools.door, place.tools.agreements, Rules(1095, 10, "internal-control")
    )
    place.ahead = timedelta(days=800)
    assert journey.apply(tools, DPO)["expired"] == {}
    assert [one["reason"] for one in place.recorder.events[-2:]] == ["internal-control"] * 2


def test_the_settings_are_the_durations_and_a_longer_one_without_reason_stops_here() -> None:
    assert journey.rules_of(TrailSettings()) == Rules()
    with pytest.raises(BadInput) as refusal:
        journey.rules_of(TrailSettings(access_days=400))
    assert refusal.value.code == "retention_reason"


@pytest.mark.parametrize(("first", "second"), [(DPO, AUDITOR), (AUDITOR, DPO), (AUDITOR, BOTH), (DPO, BOTH)])
def test_a_persons_key_goes_when_one_asks_and_the_other_agrees(
    place: Place, first: Visitor, second: Visitor
) -> None:
    mine, other = place.login(), place.login("researcher-b")
    with pytest.raises(Refused) as nobody:
        journey.agree(place.tools, second, PERSON)
    assert nobody.value.code == "nobody_asked"
    journey.ask(place.tools, first, PERSON)
    asked = journey.of_person(place.tools, second, PERSON)
    assert asked["held"] == 1
    assert asked["asked"]["by"] == first.person.id
    with pytest.raises(Refused) as same:
        journey.agree(place.tools, first, PERSON)
    assert same.value.code == "same_person"
    assert journey.agree(place.tools, second, PERSON) == 1
    assert place.tools.door.state(mine)["rule"] == "person"
    assert place.tools.door.state(other) == {"state": "sealed"}
    told = place.recorder.told("audit.erase")
    assert told[0] == ("audit.erase", "success", "asked")
    assert told[-1] == ("audit.erase", "success", "agreed")
    assert place.recorder.verified().integrity


def test_two_of_one_role_are_not_two(place: Place) -> None:
    place.login()
    journey.ask(place.tools, DPO, PERSON)
    with pytest.raises(Refused) as refusal:
        journey.agree(place.tools, Visitor(Person("dpo-c", frozenset({Role.DPO}))), PERSON)
    assert refusal.value.code == "same_role"
    assert place.recorder.told("audit.erase")[-1] == ("audit.erase", "denied", "same_role")


def test_nothing_is_asked_about_somebody_of_whom_nothing_is_kept(place: Place) -> None:
    with pytest.raises(Refused) as refusal:
        journey.ask(place.tools, DPO, "researcher-z")
    assert refusal.value.code == "nothing_to_erase"
    with pytest.raises(Refused):
        journey.of_person(place.tools, STEWARD, PERSON)


def test_the_oldest_entries_go_when_one_asks_and_the_other_agrees(place: Place) -> None:
    with pytest.raises(Refused) as nothing:
        journey.ask_to_prune(place.tools, DPO)
    assert nothing.value.code == "nothing_to_prune"
    for _ in range(300):
        place.recorder.log.submit(access())
    place.ahead = timedelta(days=400)
    for kind, counts in (("audit.review", {"first": 0, "last": 299}),):
        place.recorder.single(kind, actor=AUDITOR.acting_as(Role.AUDITOR), counts=counts)
    # the world's own decisions stand before them
    assert journey.prunable(place.tools, AUDITOR)["boundary"] == 0
    place.ahead = timedelta(days=6_000)
    assert journey.prunable(place.tools, AUDITOR)["boundary"] == 256
    with pytest.raises(Refused) as nobody:
        journey.agree_to_prune(place.tools, AUDITOR)
    assert nobody.value.code == "nobody_asked"
    journey.ask_to_prune(place.tools, DPO)
    with pytest.raises(Refused) as same:
        journey.agree_to_prune(place.tools, DPO)
    assert same.value.code == "same_person"
    assert journey.agree_to_prune(place.tools, AUDITOR) == {"boundary": 256, "removed": 256}
    assert place.recorder.told("audit.prune")[-1] == ("audit.prune", "success", None)
    assert place.recorder.events[-1]["counts"]["removed"] == 256
    size = place.recorder.log.head.size
    place.recorder.log.prove(size - 1)
    report = verify(place.recorder.directory)
    assert report.integrity
    assert "entries 0 to 255 were pruned" in report.step("entries").words
    desk = DeskOverDoor(place.tools.door)
    with pytest.raises(NotFound) as gone:
        desk._say_if_pruned(255)
    assert gone.value.code == "event_pruned"
    desk._say_if_pruned(256)


class DeskOverDoor(ScrutinyDesk):
    """The auditor's desk with nothing but its way to what is kept of persons."""

    def __init__(self, door: DetailsDoor) -> None:
        object.__setattr__(self, "door", door)

    @property
    def _details(self) -> DetailsDoor:
        door: DetailsDoor = self.__dict__["door"]
        return door


def access() -> Event:
    return Event.model_validate(
        {
            "v": 1,
            "id": new_id(),
            "type": "data.query",
            "phase": "single",
            "corr": new_id(),
            "occurred": "2026-11-25T10:00:00.000000Z",
            "actor": {"id": PERSON, "kind": "person"},
            "source": {"service": "service"},
        }
    )
