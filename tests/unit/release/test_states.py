"""The table of states: printed as it stands, whole, and with no way back out of an end."""

from pathlib import Path

import pytest

from enclave.errors import Refused
from enclave.release.states import (
    AT_WORK,
    EVENTS,
    OWNERS,
    TABLE,
    Act,
    Party,
    Status,
    after,
    find,
    left_by,
    open_to_reviewers,
    page,
    reachable,
)

DOCS = Path(__file__).parents[3] / "docs"
ENDS = frozenset({Status.REJECTED, Status.REVOKED, Status.WITHDRAWN, Status.EXPIRED})
OPEN = frozenset(
    {
        Status.BLOCKED,
        Status.IN_REVIEW,
        Status.PARTIALLY_REVIEWED,
        Status.REVIEWED,
        Status.AWAITING_PARTNER,
        Status.APPROVED,
        Status.SUSPENDED,
        Status.RELEASED,
        Status.REVOKED,
    }
)


def test_the_page_in_the_docs_is_printed_from_the_table():
    assert (DOCS / "release-states.md").read_text() == page()


def test_no_two_rows_answer_the_same_question():
    asked = [(row.source, row.act, row.left) for row in TABLE]
    assert len(set(asked)) == len(asked)


def test_every_status_has_an_owner_and_every_act_its_events():
    assert set(OWNERS) == set(Status)
    assert set(EVENTS) == set(Act)
    assert all(types and all(one.startswith("release.") for one in types) for types in EVENTS.values())


def test_every_status_can_be_reached_and_every_row_is_of_use():
    met = reachable()
    assert {status for status, _ in met} == set(Status)
    assert all((row.source, row.left) in met for row in TABLE if row.left is not None)


@pytest.mark.parametrize("status", sorted(ENDS))
@pytest.mark.parametrize("act", list(Act))
def test_nothing_follows_an_end(status: Status, act: Act):
    with pytest.raises(Refused) as refusal:
        after(status, act)
    assert refusal.value.code == "not_in_this_state"
    assert OWNERS[status] is Party.NOBODY


def test_a_request_comes_out_of_the_house_by_one_row_only():
    assert [
        (row.source, row.act)
        for row in TABLE
        if row.target is Status.RELEASED and row.source is not row.target
    ] == [(Status.RELEASING, Act.DELIVER)]
    assert {row.source for row in TABLE if row.act is Act.DOWNLOAD} == {Status.RELEASED}
    assert {row.source for row in TABLE if row.target is Status.RELEASING} == {
        Status.APPROVED,
        Status.SUSPENDED,
        Status.FAILED,
    }


@pytest.mark.parametrize("left", AT_WORK)
def test_a_failure_leads_back_to_the_state_it_left_only(left: Status):
    assert after(left, Act.FAIL) is Status.FAILED
    remembered = left_by(left, Act.FAIL)
    assert after(Status.FAILED, Act.RETRY, remembered) is left
    assert left_by(Status.FAILED, Act.RETRY) is None


def test_a_failure_that_left_nothing_cannot_be_retried():
    assert find(Status.FAILED, Act.RETRY) is None


def test_the_author_may_take_back_whatever_has_not_begun_to_leave():
    refused = {status for status in Status if find(status, Act.WITHDRAW, Status.RELEASING) is None}
    assert refused == ENDS | {Status.RELEASING, Status.RELEASED, Status.FAILED}
    assert find(Status.FAILED, Act.WITHDRAW, Status.CHECKING) is not None


@pytest.mark.parametrize("status", list(Status))
def test_reviewers_open_files_when_it_is_their_turn_or_was(status: Status):
    if status in OPEN:
        open_to_reviewers(status)
        return
    with pytest.raises(Refused) as refusal:
        open_to_reviewers(status)
    assert refusal.value.code == "not_open_to_reviewers"
