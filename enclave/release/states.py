"""The life of a release request: an enum, one table, one function. The diagram in docs/ is printed from here."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from enclave.errors import Refused


class Status(StrEnum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    CHECKING = "CHECKING"
    BLOCKED = "BLOCKED"
    IN_REVIEW = "IN_REVIEW"
    PARTIALLY_REVIEWED = "PARTIALLY_REVIEWED"
    REVIEWED = "REVIEWED"
    AWAITING_PARTNER = "AWAITING_PARTNER"
    APPROVED = "APPROVED"
    RETURNED = "RETURNED"
    REJECTED = "REJECTED"
    SUSPENDED = "SUSPENDED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"
    REVOKED = "REVOKED"
    FAILED = "FAILED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class Act(StrEnum):
    EDIT = "edit"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    CHECK = "check"
    PASS = "pass"  # noqa: S105 - a verdict, no secret
    BLOCK = "block"
    WAIVE = "waive"  # one senior steward excepts
    ADMIT = "admit"  # two did: the block is lifted
    REVIEW = "review"
    ASK_PARTNER = "ask_partner"
    AGREE = "agree"  # one partner of those awaited
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    SUSPEND = "suspend"
    PACKAGE = "package"
    DELIVER = "deliver"
    DOWNLOAD = "download"
    REVOKE = "revoke"
    FAIL = "fail"
    RETRY = "retry"
    EXPIRE = "expire"


class Party(StrEnum):
    """Who does an act, and whose turn it is in a status."""

    AUTHOR = "author"
    HOUSE = "house"
    REVIEWER = "reviewer"
    SENIOR_STEWARD = "senior steward"
    PARTNER = "partner"
    PUBLISHER = "publisher"
    RECIPIENT = "recipient"
    OPERATOR = "operator"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Transition:
    """A row of the table; `left` restricts a row out of FAILED to the state the failure left."""

    source: Status
    act: Act
    target: Status
    by: Party
    left: Status | None = None


S, A, P = Status, Act, Party

IN_REVIEW_STATES = (S.IN_REVIEW, S.PARTIALLY_REVIEWED, S.REVIEWED)
AT_WORK = (S.CHECKING, S.RELEASING)
LEFT_UNDONE = (
    S.DRAFT,
    S.SUBMITTED,
    S.BLOCKED,
    *IN_REVIEW_STATES,
    S.AWAITING_PARTNER,
    S.APPROVED,
    S.RETURNED,
    S.SUSPENDED,
)

TABLE: tuple[Transition, ...] = (
    Transition(S.DRAFT, A.EDIT, S.DRAFT, P.AUTHOR),
    Transition(S.DRAFT, A.SUBMIT, S.SUBMITTED, P.AUTHOR),
    Transition(S.RETURNED, A.EDIT, S.RETURNED, P.AUTHOR),
    Transition(S.RETURNED, A.SUBMIT, S.SUBMITTED, P.AUTHOR),
    Transition(S.SUBMITTED, A.CHECK, S.CHECKING, P.HOUSE),
    Transition(S.CHECKING, A.PASS, S.IN_REVIEW, P.HOUSE),
    Transition(S.CHECKING, A.BLOCK, S.BLOCKED, P.HOUSE),
    Transition(S.BLOCKED, A.WAIVE, S.BLOCKED, P.SENIOR_STEWARD),
    Transition(S.BLOCKED, A.ADMIT, S.IN_REVIEW, P.HOUSE),
    Transition(S.BLOCKED, A.RETURN, S.RETURNED, P.REVIEWER),
    Transition(S.IN_REVIEW, A.REVIEW, S.PARTIALLY_REVIEWED, P.REVIEWER),
    Transition(S.PARTIALLY_REVIEWED, A.REVIEW, S.REVIEWED, P.REVIEWER),
    Transition(S.REVIEWED, A.REVIEW, S.REVIEWED, P.SENIOR_STEWARD),
    *(Transition(state, A.RETURN, S.RETURNED, P.REVIEWER) for state in IN_REVIEW_STATES),
    Transition(S.REVIEWED, A.ASK_PARTNER, S.AWAITING_PARTNER, P.HOUSE),
    Transition(S.REVIEWED, A.APPROVE, S.APPROVED, P.HOUSE),
    Transition(S.REVIEWED, A.REJECT, S.REJECTED, P.HOUSE),
    Transition(S.AWAITING_PARTNER, A.AGREE, S.AWAITING_PARTNER, P.PARTNER),
    Transition(S.AWAITING_PARTNER, A.APPROVE, S.APPROVED, P.HOUSE),
    Transition(S.AWAITING_PARTNER, A.REJECT, S.REJECTED, P.PARTNER),
    Transition(S.APPROVED, A.SUSPEND, S.SUSPENDED, P.SENIOR_STEWARD),
    Transition(S.SUSPENDED, A.REJECT, S.REJECTED, P.SENIOR_STEWARD),
    Transition(S.SUSPENDED, A.PACKAGE, S.RELEASING, P.SENIOR_STEWARD),
    Transition(S.APPROVED, A.PACKAGE, S.RELEASING, P.PUBLISHER),
    Transition(S.RELEASING, A.DELIVER, S.RELEASED, P.HOUSE),
    Transition(S.RELEASED, A.DOWNLOAD, S.RELEASED, P.RECIPIENT),
    Transition(S.RELEASED, A.REVOKE, S.REVOKED, P.SENIOR_STEWARD),
    *(Transition(state, A.FAIL, S.FAILED, P.HOUSE) for state in AT_WORK),
    *(Transition(S.FAILED, A.RETRY, state, P.OPERATOR, left=state) for state in AT_WORK),
    *(Transition(state, A.WITHDRAW, S.WITHDRAWN, P.AUTHOR) for state in (*LEFT_UNDONE, S.CHECKING)),
    # Before RELEASING only: a failed packaging may have been seen by somebody.
    Transition(S.FAILED, A.WITHDRAW, S.WITHDRAWN, P.AUTHOR, left=S.CHECKING),
    # A request at work finishes or fails first; what failed expires with the others.
    *(Transition(state, A.EXPIRE, S.EXPIRED, P.HOUSE) for state in (*LEFT_UNDONE, S.FAILED)),
)

OWNERS: dict[Status, Party] = {
    S.DRAFT: P.AUTHOR,
    S.SUBMITTED: P.HOUSE,
    S.CHECKING: P.HOUSE,
    S.BLOCKED: P.SENIOR_STEWARD,
    S.IN_REVIEW: P.REVIEWER,
    S.PARTIALLY_REVIEWED: P.REVIEWER,
    S.REVIEWED: P.SENIOR_STEWARD,
    S.AWAITING_PARTNER: P.PARTNER,
    S.APPROVED: P.PUBLISHER,
    S.RETURNED: P.AUTHOR,
    S.REJECTED: P.NOBODY,
    S.SUSPENDED: P.SENIOR_STEWARD,
    S.RELEASING: P.HOUSE,
    S.RELEASED: P.RECIPIENT,
    S.REVOKED: P.NOBODY,
    S.FAILED: P.OPERATOR,
    S.WITHDRAWN: P.NOBODY,
    S.EXPIRED: P.NOBODY,
}

# Where reviewers may open the files: a draft and what was returned are the author's alone.
OPEN_TO_REVIEWERS = frozenset(
    {
        S.BLOCKED,
        *IN_REVIEW_STATES,
        S.AWAITING_PARTNER,
        S.APPROVED,
        S.SUSPENDED,
        S.RELEASED,
        S.REVOKED,
    }
)

# The events of the trail an act may be recorded as; a store asks for a receipt of one of them.
EVENTS: dict[Act, frozenset[str]] = {
    A.EDIT: frozenset({"release.create"}),
    A.SUBMIT: frozenset({"release.submit"}),
    A.WITHDRAW: frozenset({"release.withdraw"}),
    A.CHECK: frozenset({"release.check"}),
    A.PASS: frozenset({"release.check"}),
    A.BLOCK: frozenset({"release.check"}),
    A.WAIVE: frozenset({"release.except"}),
    A.ADMIT: frozenset({"release.except"}),
    A.REVIEW: frozenset({"release.review"}),
    A.ASK_PARTNER: frozenset({"release.approve"}),
    A.AGREE: frozenset({"release.approve"}),
    A.APPROVE: frozenset({"release.approve"}),
    A.RETURN: frozenset({"release.return"}),
    A.REJECT: frozenset({"release.reject"}),
    A.SUSPEND: frozenset({"release.except"}),
    A.PACKAGE: frozenset({"release.package"}),
    A.DELIVER: frozenset({"release.package"}),
    A.DOWNLOAD: frozenset({"release.download"}),
    A.REVOKE: frozenset({"release.revoke"}),
    A.FAIL: frozenset({"release.fail"}),
    A.RETRY: frozenset({"release.check", "release.package"}),
    A.EXPIRE: frozenset({"release.expire"}),
}

_ROWS = {(row.source, row.act, row.left): row for row in TABLE}


def find(status: Status, act: Act, left: Status | None = None) -> Transition | None:
    """Give the row for an act in a status, or None where there is none."""
    return _ROWS.get((status, act, None)) or _ROWS.get((status, act, left))


def after(status: Status, act: Act, left: Status | None = None) -> Status:
    """Give the status an act leads to; `left` is the state a failure left, and counts in FAILED only.

    Raises `Refused("not_in_this_state")`.
    """
    row = find(status, act, left)
    if row is None:
        raise Refused(
            "not_in_this_state",
            f"A request that is {status} cannot be: {act}.",
            "Open the request again to see what may be done now.",
            status=status.value,
            act=act.value,
        )
    return row.target


def open_to_reviewers(status: Status) -> None:
    """Refuse to open the files where it is not the reviewers' turn, and was not."""
    if status not in OPEN_TO_REVIEWERS:
        raise Refused(
            "not_open_to_reviewers",
            f"The files of a request that is {status} are not opened.",
            "Wait until it is in review.",
            status=status.value,
        )


def left_by(status: Status, act: Act) -> Status | None:
    """Give what is remembered after an act in a status: a failure remembers the state it left."""
    return status if act is Act.FAIL else None


def reachable(start: Status = Status.DRAFT) -> frozenset[tuple[Status, Status | None]]:
    """Give every (status, left) a life can come to from a start."""
    seen: set[tuple[Status, Status | None]] = {(start, None)}
    ahead = deque(seen)
    while ahead:
        for step in _steps(*ahead.popleft()):
            if step not in seen:
                seen.add(step)
                ahead.append(step)
    return frozenset(seen)


def _steps(status: Status, left: Status | None) -> Iterator[tuple[Status, Status | None]]:
    for act in Act:
        row = find(status, act, left)
        if row is not None:
            yield row.target, left_by(status, act)


def diagram() -> str:
    """Print the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> DRAFT"]
    lines += [f"    {row.source} --> {row.target}: {_label(row)}" for row in TABLE]
    lines += [f"    {status} --> [*]" for status in Status if OWNERS[status] is Party.NOBODY]
    return "\n".join(lines) + "\n"


def _label(row: Transition) -> str:
    kept = "" if row.left is None else f", if it left {row.left}"
    return f"{row.act} ({row.by}{kept})"


def page() -> str:
    """Print the page about the states that docs/ holds."""
    owners = "\n".join(f"| {status} | {OWNERS[status]} |" for status in Status)
    return PAGE.format(diagram=diagram(), owners=owners)


PAGE = """# The states of a release request

Printed from `enclave/release/states.py` by `python -m enclave.release.states`; a test compares the two.

```mermaid
{diagram}```

| State | Whose turn it is |
|---|---|
{owners}
"""

if __name__ == "__main__":  # pragma: no cover - prints the page the test compares
    import sys

    sys.stdout.write(page())
