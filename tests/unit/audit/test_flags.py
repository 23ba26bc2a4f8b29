"""Each flag speaks by its rule, once, and not before."""

from datetime import UTC, datetime, timedelta

import pytest

from audit.flags import BUDGET_MICRO_RHO, DENIALS, NEAR, QUESTIONS, RULES, flags

START = datetime(2026, 11, 25, 8, tzinfo=UTC)


def event(seq, seconds, **changes):
    base = {
        "seq": seq,
        "id": f"id-{seq}",
        "corr": f"corr-{seq}",
        "type": "data.query",
        "phase": "single",
        "actor": {"id": "researcher-a"},
    }
    ts = (START + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {**base, "ts": ts, **changes}


def told(events):
    return [(each.code, each.index, each.about) for each in flags(events)]


def denied(seq, seconds, **changes):
    return event(seq, seconds, outcome="denied", **changes)


def question(seq, seconds, digest, cost=0):
    objects = [{"kind": "dataset", "id": "stays"}, {"kind": "question", "id": digest}]
    return event(seq, seconds, outcome="success", object=objects, dp={"rho_micro": cost})


def test_a_burst_of_denials_is_told_once_and_again_after_a_lull():
    burst = [denied(n, n) for n in range(DENIALS + 3)]
    again = [denied(100 + n, 3600 + n) for n in range(DENIALS)]
    assert told([*burst, *again]) == [
        ("denials", DENIALS - 1, "researcher-a"),
        ("denials", 100 + DENIALS - 1, "researcher-a"),
    ]


def test_denials_of_several_persons_or_far_apart_are_none():
    assert told([denied(n, n, actor={"id": f"p-{n}"}) for n in range(10)]) == []
    assert told([denied(n, 601 * n) for n in range(10)]) == []


def test_failed_logins_count_as_denials():
    logins = [event(n, n, type="auth.failure", outcome="failed") for n in range(DENIALS)]
    assert told(logins) == [("denials", DENIALS - 1, "researcher-a")]


def test_a_day_that_costs_much_is_told():
    half = BUDGET_MICRO_RHO // 2
    assert told([question(0, 0, "a", half), question(1, 6000, "b", half)]) == [("budget", 1, "researcher-a")]
    assert told([question(0, 0, "a", half), *beats(90_000), question(99, 90_000, "b", half)]) == []


def beats(until):
    return [event(50, at, type="audit.heartbeat") for at in range(3600, until, 3600)]


def test_many_different_questions_about_one_dataset_are_told_and_the_same_one_again_is_not():
    assert told([question(n, n, f"q{n}") for n in range(QUESTIONS)]) == [
        ("questions", QUESTIONS - 1, "researcher-a / stays")
    ]
    assert told([question(n, n, "same") for n in range(2 * QUESTIONS)]) == []


def test_a_question_that_was_not_answered_is_none():
    assert told([event(n, n, phase="intent") for n in range(30)]) == []


def test_silence_is_told_unless_the_recorder_was_stopped():
    assert told([event(0, 0), event(1, 7201)]) == [("silence", 1, "recorder")]
    assert told([event(0, 0), event(1, 7200)]) == []
    assert told([event(0, 0, type="audit.stop"), event(1, 7201)]) == []


def test_a_clock_that_goes_back_is_told():
    assert told([event(0, 10), event(1, 8)]) == [("clock", 1, "recorder")]
    assert told([event(0, 10), event(1, 9)]) == []


@pytest.mark.parametrize("code", sorted(set(RULES) - {"caps", "reidentification", "own"}))
def test_every_rule_that_counts_says_how_many(code):
    assert any(letter.isdigit() for letter in RULES[code])


def near(seq, seconds, digest, shape="s1", project="cardio", **changes):
    objects = [
        {"kind": "dataset", "id": "stays"},
        {"kind": "question", "id": digest},
        {"kind": "shape", "id": shape},
    ]
    return event(seq, seconds, outcome="success", object=objects, project=project, **changes)


def test_questions_alike_but_for_their_constants_are_told_whoever_of_the_project_asks():
    asked = [near(n, 60 * n, f"q{n}", actor={"id": f"researcher-{n % 3}"}) for n in range(NEAR + 2)]
    assert told(asked) == [("near", NEAR - 1, "cardio / stays / s1")]


@pytest.mark.parametrize(
    "asked",
    [
        [near(n, n, "same") for n in range(3 * NEAR)],  # one question, given again
        [near(n, n, f"q{n}", shape=f"s{n}") for n in range(NEAR + 2)],
        [near(n, n, f"q{n}", project=f"p{n}") for n in range(NEAR + 2)],
        [near(n, 60 * n, f"q{n}") for n in range(NEAR - 1)],
        [near(n, 86_401 * n, f"q{n}") for n in range(NEAR + 1)],
    ],
)
def test_questions_of_several_shapes_or_projects_few_of_them_or_far_apart_are_none(asked):
    assert [each for each in told(asked) if each[0] == "near"] == []


def cap(seq, rho, outcome="success", **own):
    objects = [{"kind": kind, "id": name} for kind, name in ({"population": "patients"} | own).items()]
    common = {"type": "dp.caps", "corr": f"c{seq}", "object": objects}
    begun = event(seq, seq, **common, phase="intent", counts={"rho_micro": rho})
    return [begun, event(seq + 1, seq, **common, phase="outcome", outcome=outcome)]


def test_a_cap_that_is_raised_is_told_and_one_that_is_set_or_lowered_is_not():
    events = [
        *cap(0, 10),
        *cap(2, 5),
        *cap(4, 6),
        *cap(6, 60, project="cardio"),
        *cap(8, 61, project="cardio"),
    ]
    assert told(events) == [("caps", 5, "patients"), ("caps", 9, "patients / cardio")]


def test_a_cap_that_was_refused_or_entered_again_is_none():
    reentered = event(9, 9, type="dp.caps", corr="c9", outcome="success", counts={"acts": 3})
    assert told([*cap(0, 10), *cap(2, 20, outcome="failed"), reentered]) == []


def test_a_key_of_identities_that_is_opened_is_told_each_time():
    objects = [{"kind": "dataset", "id": "stays"}, {"kind": "key", "id": "identity"}]
    events = [event(n, n, type="key.unwrap", phase="intent", object=objects) for n in range(2)]
    assert told(events) == [("reidentification", n, "researcher-a") for n in range(2)]
    other = event(3, 3, type="key.unwrap", object=[{"kind": "key", "id": "research"}])
    assert told([other]) == []


def test_whoever_changes_their_own_roles_is_told():
    own = [{"kind": "person", "id": "researcher-a"}]
    events = [event(0, 0, type="admin.role", phase="intent", object=own)]
    events.append(event(1, 1, type="admin.role", phase="outcome", outcome="success", object=own))
    events.append(event(2, 2, type="admin.role", phase="intent", object=[{"kind": "person", "id": "other"}]))
    events.append(event(3, 3, type="admin.grant", outcome="denied", object=own))
    assert told(events) == [("own", 0, "researcher-a")]


def decision(seq, seconds, watched):
    policy = {"name": "working-hours", "version": 1}
    return event(
        seq, seconds, type="admin.policy", outcome="success", policy=policy, counts={"watched": watched}
    )


def acts(*seconds, first, kind="person"):
    actor = {"id": "steward-a", "kind": kind}
    return [event(first + n, at, type="release.view", actor=actor) for n, at in enumerate(seconds)]


EVENING, SATURDAY = 12 * 3600, 3 * 86_400  # START is a Wednesday at 9 in Paris


def test_nobody_s_hours_are_watched_without_a_decision_on_record():
    assert [each for each in told(acts(0, EVENING, SATURDAY, first=0)) if each[0] == "hours"] == []


def test_from_a_recorded_decision_on_late_acts_are_told_once_a_day_until_it_is_taken_back():
    events = [
        *acts(1, first=0),
        decision(5, 2, 1),
        *acts(3, EVENING, EVENING + 60, SATURDAY, first=10),
        *acts(SATURDAY + 1, first=20, kind="service"),
        decision(30, SATURDAY + 2, 0),
        *acts(SATURDAY + 86_400, first=40),
    ]
    assert [each for each in told(events) if each[0] == "hours"] == [
        ("hours", 11, "steward-a"),
        ("hours", 13, "steward-a"),
    ]


def test_a_flag_says_its_rule():
    (flag,) = flags([event(0, 10), event(1, 8)])
    assert flag.rule == RULES["clock"]
