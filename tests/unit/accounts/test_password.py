"""Passwords tried by several people at once."""

import threading

from enclave.accounts.password import hashed, matches


def test_two_people_who_log_in_at_the_same_moment_both_get_an_answer() -> None:
    """OpenSSL hangs for ever when two derivations of several lanes run at once in a process."""
    stored = hashed(b"several words nobody guesses")
    answers: list[bool] = []

    def enter(password: bytes) -> None:
        answers.append(matches(password, stored))

    tries = [b"several words nobody guesses", b"something else", b"several words nobody guesses"]
    threads = [threading.Thread(target=enter, args=(one,), daemon=True) for one in tries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [False, True, True]
