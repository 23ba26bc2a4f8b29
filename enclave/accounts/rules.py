"""What a password must be, and how long an account waits after failed tries; pure, takes the time as given."""

import unicodedata
from datetime import datetime, timedelta

from enclave.accounts.words import Failures
from enclave.errors import BadInput, Refused

# CNIL, recommendation on passwords (délibération 2022-100): at least 12 characters where tries are slowed.
SHORTEST = 12
# Argon2 takes more; a longer body is a way to keep a processor busy.
LONGEST = 256
DIFFERENT = 5

# Same recommendation: access slowed after a few failures, and the wait grows.
FREE_TRIES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)


def readable(password: str) -> bytes:
    """Give the bytes a password is hashed from.

    NFKC, so that every keyboard spells it the same (NIST SP 800-63B §5.1.1.2). Raises `BadInput` for one too
    long to be tried.
    """
    if len(password) > LONGEST:
        raise BadInput(
            "password_too_long", f"A password has at most {LONGEST} characters.", "Shorten it.", most=LONGEST
        )
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def strong_enough(person: str, password: str) -> None:
    """Refuse a new password that is short, holds the person's id, or repeats a few characters."""
    readable(password)
    if len(password) < SHORTEST:
        raise Refused(
            "password_short",
            f"A password has at least {SHORTEST} characters.",
            "Put four words together.",
            least=SHORTEST,
        )
    if person.casefold() in password.casefold() or len(set(password)) < DIFFERENT:
        raise Refused(
            "password_guessable",
            "This password is too easy to guess.",
            "Leave your name out of it and use more different characters.",
        )


def wait_after(failures: int) -> timedelta:
    """Give the wait after so many failures in a row: none at first, then doubling up to a quarter of an hour.

    An account is slowed, never closed: failed tries must not keep its owner out for good.
    """
    if failures < FREE_TRIES:
        return timedelta(0)
    doublings = min(failures - FREE_TRIES, 10)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def is_waiting(failures: Failures, now: datetime) -> bool:
    """Tell whether the account takes no try yet."""
    return failures.last is not None and now < failures.last + wait_after(failures.count)
