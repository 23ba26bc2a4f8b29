"""A person logs in or changes their password; both are in the trail before they count."""

from collections.abc import Callable
from datetime import datetime

from enclave.accounts.password import hashed, matches
from enclave.accounts.rules import is_waiting, readable, strong_enough
from enclave.accounts.store import AccountStore
from enclave.accounts.words import UNSEEN, Account, Seen
from enclave.errors import NotAuthenticated, NotFound
from enclave.people import Person
from enclave.recording import Actor, EventObject, Recorder, apart, recorded

AUTH = "password"
NOBODY = "unknown"


def log_in(
    name: str,
    password: str,
    *,
    accounts: AccountStore,
    recorder: Recorder,
    now: Callable[[], datetime],
    seen: Seen = UNSEEN,
) -> Person:
    """Give the person, if the password is theirs and no wait holds; from where is kept sealed beside the event.

    Raises `NotAuthenticated("login_refused")`, the same for an unknown name, a wrong password, a wait and a
    closed access, after the same work; the trail alone tells them apart. Raises `ComponentDown` when the
    trail cannot be written.
    """
    account = _known(accounts, name)
    right = matches(readable(password), None if account is None else accounts.phc(name))
    reason = _why_not(account, right=right, accounts=accounts, now=now())
    if account is None or reason is not None:
        _record_failure(account, reason or NOBODY, accounts, recorder, now(), seen)
        raise NotAuthenticated(
            "login_refused",
            "The name or the password is not right, or the account is waiting after failed tries.",
            "Check both; after five failures wait a few minutes.",
        )
    _record_success(account.person, accounts, recorder, seen)
    return account.person


def change_password(
    person: Person,
    current: str,
    new: str,
    *,
    accounts: AccountStore,
    recorder: Recorder,
    now: Callable[[], datetime],
) -> None:
    """Let a person replace their own password; the current one is tried as at a login."""
    strong_enough(person.id, new)
    log_in(person.id, current, accounts=accounts, recorder=recorder, now=now)
    set_password(person.id, new, by=_actor(person.id), accounts=accounts, recorder=recorder, now=now)


def set_password(
    person: str,
    new: str,
    *,
    by: Actor,
    accounts: AccountStore,
    recorder: Recorder,
    now: Callable[[], datetime],
) -> None:
    """Set a person's password. Raises `Refused` for a weak one, `NotFound` for an unknown person."""
    strong_enough(person, new)
    accounts.account(person)
    phc = hashed(readable(new))
    with recorded(recorder, "admin.password", actor=by, objects=[EventObject("person", person)]) as act:
        accounts.set_password(person, phc, now(), act.receipt)


def _known(accounts: AccountStore, name: str) -> Account | None:
    try:
        return accounts.account(name)
    except NotFound:
        return None


def _why_not(account: Account | None, *, right: bool, accounts: AccountStore, now: datetime) -> str | None:
    if account is None:
        return "unknown_person"
    if is_waiting(accounts.failures(account.person.id), now):
        return "waiting"
    if not right:
        return "wrong_password"
    return None if account.person.active else "person_inactive"


def _record_failure(
    account: Account | None,
    reason: str,
    accounts: AccountStore,
    recorder: Recorder,
    now: datetime,
    seen: Seen,
) -> None:
    person = NOBODY if account is None else account.person.id
    receipt = recorder.single(
        "auth.failure",
        actor=_actor(person),
        objects=[EventObject("person", person)],
        outcome="denied",
        reason=reason,
        **apart(person, client=seen.client, browser=seen.browser),
    )
    # A try during the wait does not lengthen it: whoever keeps trying must not keep the owner out.
    if account is not None and reason == "wrong_password":
        accounts.add_failure(person, now, receipt)


def _record_success(person: Person, accounts: AccountStore, recorder: Recorder, seen: Seen) -> None:
    receipt = recorder.single(
        "auth.login",
        actor=_actor(person.id),
        objects=[EventObject("person", person.id)],
        **apart(person.id, client=seen.client, browser=seen.browser),
    )
    accounts.clear_failures(person.id, receipt)


def _actor(person: str) -> Actor:
    return Actor(person, "person", "none", None, AUTH)
