"""What a password must be, and how long an account waits."""

from datetime import UTC, datetime, timedelta

import pytest

from enclave.accounts import rules
from enclave.accounts.words import Failures
from enclave.errors import EnclaveError

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("quatre mots bien longs", ""),
        ("0123456789ab", ""),
        ("0123456789a", "password_short"),
        ("", "password_short"),
        ("aaaaaaaaaaaaaaaa", "password_guessable"),
        ("abababababab", "password_guessable"),
        ("my Researcher-A secret", "password_guessable"),
        ("x" * 257, "password_too_long"),
    ],
)
def test_which_passwords_are_taken(password: str, code: str):
    found = ""
    try:
        rules.strong_enough("researcher-a", password)
    except EnclaveError as refusal:
        found = refusal.code
    assert found == code


def test_every_keyboard_spells_a_password_the_same():
    assert rules.readable("e\u0301te\u0301") == rules.readable("été")


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (7, 120), (8, 240), (9, 480), (10, 900), (11, 900), (10_000, 900)],
)
def test_the_wait_doubles_and_ends_at_a_quarter_of_an_hour(failures: int, seconds: int):
    assert rules.wait_after(failures) == seconds * SECOND


@pytest.mark.parametrize(
    ("failures", "waits"),
    [
        (Failures(), False),
        (Failures(4, NOW), False),
        (Failures(5, NOW), True),
        (Failures(5, NOW - 29 * SECOND), True),
        (Failures(5, NOW - 30 * SECOND), False),
    ],
)
def test_an_account_waits_until_its_time_is_over(failures: Failures, waits: bool):
    assert rules.is_waiting(failures, NOW) is waits
