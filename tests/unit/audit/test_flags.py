"""Each flag speaks by its rule, once, and not before."""

from datetime import UTC, datetime, timedelta

import pytest

from audit.flags import BUDGET_MICRO_RHO, DENIALS, QUESTIONS, RULES, flags

START = datetime(2026, 11, 25, 8, tzinfo=UTC)


def event(seq, seconds, **changes):
    base = {"seq": seq, "id": f"id-{seq}", "type": "data.query", "actor": {"id": "researcher-a"}}
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


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_is_stated(code):
    assert any(letter.isdigit() for letter in RULES[code])


def test_a_flag_says_its_rule():
    (flag,) = flags([event(0, 10), event(1, 8)])
    assert flag.rule == RULES["clock"]
