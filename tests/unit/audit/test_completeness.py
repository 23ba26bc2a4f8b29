"""The rules over events, as tables: what is told, and what is let pass."""

import pytest

from audit.completeness import Acts
from audit.event import new_id

REQUEST, OTHER = new_id(), new_id()
F1, F2 = "11" * 32, "22" * 32


class Story:
    """Events in order, written briefly."""

    def __init__(self) -> None:
        self.events = []

    def add(self, kind, actor="service-a", *, phase="single", corr=None, service="house", **more):
        corr = corr or new_id()
        person = "service" if actor.startswith("service") else "person"
        event = {
            "seq": len(self.events),
            "type": kind,
            "phase": phase,
            "corr": corr,
            "actor": {"id": actor, "kind": person},
            "source": {"service": service},
            **more,
        }
        self.events.append(event)
        return corr

    def act(self, kind, actor="service-a", outcome="success", reason=None, **more):
        corr = self.add(kind, actor, phase="intent", **more, **({"reason": reason} if reason else {}))
        self.add(kind, actor, phase="outcome", corr=corr, outcome=outcome)
        return corr

    def submit(self, actor="researcher-a", request=REQUEST, files=(F1,)):
        self.act("release.submit", actor, release=release(request, files))

    def vote(self, actor, reason="approve", outcome="success", request=REQUEST):
        self.act("release.review", actor, outcome, reason, release=release(request))

    def package(self, outcome="success", request=REQUEST, files=(F1,), reason=None):
        corr = self.add("release.package", phase="intent", release=release(request, files))
        extra = {"reason": reason} if reason else {}
        if outcome:
            self.add("release.package", phase="outcome", corr=corr, outcome=outcome, **extra)

    def acts(self):
        acts = Acts()
        for event in self.events:
            acts.see(event)
        return acts

    def codes(self):
        return [each.code for each in self.acts().release_anomalies()]


def release(request, files=()):
    return {"request": request, **({"files": [{"sha256": each} for each in files]} if files else {})}


@pytest.fixture
def story():
    return Story()


def approved(story):
    story.submit()
    story.vote("steward-a")
    story.vote("steward-b")


def test_an_intent_with_its_outcome_is_complete(story):
    story.act("data.query", "researcher-a")
    assert story.acts().pairing_anomalies() == []


def test_an_intent_without_outcome_is_told_at_its_index(story):
    story.add("audit.start")
    story.add("data.query", "researcher-a", phase="intent")
    (anomaly,) = story.acts().pairing_anomalies()
    assert (anomaly.index, anomaly.code) == (1, "no_outcome")


def test_an_outcome_that_nothing_announced_is_told(story):
    story.add("data.query", phase="outcome", outcome="success")
    (anomaly,) = story.acts().pairing_anomalies()
    assert anomaly.code == "no_intent"


def test_an_outcome_closes_an_intent_of_its_own_type_only(story):
    corr = story.add("data.query", phase="intent")
    story.add("data.import", phase="outcome", corr=corr, outcome="success")
    assert [each.code for each in story.acts().pairing_anomalies()] == ["no_outcome", "no_intent"]


def test_the_same_act_announced_three_times_needs_three_outcomes(story):
    corr = new_id()
    for _ in range(3):
        story.add("data.query", phase="intent", corr=corr)
    for _ in range(2):
        story.add("data.query", phase="outcome", corr=corr, outcome="success")
    assert [each["seq"] for each in story.acts().open_intents()] == [2]
    story.add("data.query", phase="outcome", corr=corr, outcome="success")
    assert story.acts().open_intents() == []


def test_two_more_announcements_wait_apart(story):
    corr = new_id()
    for _ in range(3):
        story.add("data.query", phase="intent", corr=corr)
    assert [each["seq"] for each in story.acts().open_intents()] == [0, 1, 2]


def test_an_interrupted_act_is_counted_apart_and_is_no_anomaly(story):
    corr = story.add("data.query", phase="intent")
    story.add("data.query", phase="outcome", corr=corr, outcome="failed", reason="interrupted")
    acts = story.acts()
    assert (acts.interrupted, acts.pairing_anomalies()) == ([0], [])


def test_only_the_process_that_began_an_act_may_declare_it_interrupted(story):
    corr = story.add("data.query", phase="intent", service="engine")
    story.add(
        "data.query", phase="outcome", corr=corr, outcome="failed", reason="interrupted", service="intake"
    )
    acts = story.acts()
    assert acts.interrupted == []
    assert [each.code for each in acts.pairing_anomalies()] == ["closed_by_another"]


def test_two_approvals_by_two_others_cover_a_package(story):
    approved(story)
    story.package()
    assert story.codes() == []


def test_single_events_count_as_acts_too(story):
    story.add("release.submit", "researcher-a", release=release(REQUEST))
    for actor in ("steward-a", "steward-b"):
        story.add("release.review", actor, reason="approve", release=release(REQUEST), outcome="success")
    story.add("release.package", release=release(REQUEST))
    assert story.codes() == []


def test_a_package_with_one_approval_is_told(story):
    story.submit()
    story.vote("steward-a")
    story.package()
    assert story.codes() == ["too_few_approvals"]


@pytest.mark.parametrize(
    "second",
    [
        {"actor": "steward-a"},  # the same person twice
        {"actor": "researcher-a"},  # the author
        {"actor": "service-b"},  # no person
        {"actor": "steward-b", "reason": "return"},
        {"actor": "steward-b", "reason": "reject"},
        {"actor": "steward-b", "outcome": "denied"},
        {"actor": "steward-b", "outcome": "failed"},
        {"actor": "steward-b", "request": OTHER},
    ],
)
def test_a_second_vote_that_does_not_count_leaves_too_few(story, second):
    story.submit()
    story.vote("steward-a")
    story.vote(**second)
    story.package()
    assert story.codes() == ["too_few_approvals"]


def test_the_last_vote_of_a_person_is_the_one_that_counts(story):
    approved(story)
    story.vote("steward-b", "return")
    story.package()
    assert story.codes() == ["too_few_approvals"]


def test_a_word_on_one_file_is_no_review_of_the_request(story):
    story.submit()
    story.vote("steward-a")
    story.vote("steward-a", "file_approve")
    story.vote("steward-b", "file_approve")
    story.package()
    assert story.codes() == ["too_few_approvals"]
    story.vote("steward-b")
    story.vote("steward-b", "file_approve")
    story.package()
    assert story.codes() == ["too_few_approvals"]  # the first package alone


def test_votes_from_before_the_last_submission_do_not_count(story):
    approved(story)
    story.submit()
    story.vote("steward-a")
    story.package()
    assert story.codes() == ["too_few_approvals"]


def test_a_vote_after_the_package_was_begun_comes_too_late(story):
    story.submit()
    story.vote("steward-a")
    corr = story.add("release.package", phase="intent", release=release(REQUEST))
    story.vote("steward-b")
    story.add("release.package", phase="outcome", corr=corr, outcome="success")
    assert story.codes() == ["too_few_approvals"]


def test_everybody_who_ever_submitted_the_request_is_an_author(story):
    story.submit("steward-a")
    story.submit("researcher-a")
    story.vote("steward-a")
    story.vote("steward-b")
    story.package()
    assert story.codes() == ["too_few_approvals"]


def test_a_package_of_a_request_nobody_submitted_is_told(story):
    story.vote("steward-a")
    story.vote("steward-b")
    story.package()
    assert story.codes() == ["no_submit"]


def test_a_file_that_was_not_submitted_is_told(story):
    approved(story)
    story.package(files=(F1, F2))
    assert story.codes() == ["other_files"]


@pytest.mark.parametrize(
    ("outcome", "reason", "told"),
    [
        ("success", None, True),
        ("minor", None, True),
        (None, None, True),  # still open: it may have left
        ("failed", "interrupted", True),  # nobody knows
        ("failed", "no_space", False),
        ("denied", None, False),
    ],
)
def test_a_package_is_judged_when_it_left_or_may_have_left(story, outcome, reason, told):
    story.submit()
    story.package(outcome=outcome, reason=reason)
    assert story.codes() == (["too_few_approvals"] if told else [])


def test_an_open_intent_of_another_kind_is_no_release(story):
    story.add("data.query", phase="intent")
    assert story.codes() == []
