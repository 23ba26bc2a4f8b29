import re
import string
import tomllib
from datetime import UTC, date, datetime, timedelta

import pytest

from enclave import messages
from enclave.errors import Refused
from tests.unit.web.refusal_codes import refusals


def keys(entry: dict, place: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in entry.items():
        here = f"{place}.{key}" if place else key
        found |= keys(value, here) if isinstance(value, dict) else {here}
    return found


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_sentences_with_the_same_blanks():
    french, english = messages.catalogue("fr")["page"], messages.catalogue("en")["page"]
    assert keys(french) == keys(english)
    for key in keys(french):
        one, other = french, english
        for part in key.split("."):
            one, other = one[part], other[part]
        assert fields(one) == fields(other), key


def test_every_sentence_a_page_asks_for_exists():
    templates = (messages.LOCALES.parent / "web" / "templates").glob("*.html")
    asked = {
        key
        for path in templates
        for key in re.findall(r"""\bt\(["']([a-z_.]+[a-z_])["']""", path.read_text())
    }
    known = keys(messages.catalogue("fr")["page"])
    plural = {key.rsplit(".", 1)[0] for key in known if key.endswith(".many")}
    assert len(asked) > 60
    assert asked <= known | plural | {"audit.sound", "audit.passed"}


def test_every_refusal_a_person_may_meet_has_its_french_sentence():
    known = messages.catalogue("fr")["errors"]
    missing = sorted(set(refusals()) - set(known))
    # a policy's own faults are told in the words of YAML and of its schema, with line and column
    assert missing == ["policy_unreadable"]


def test_a_french_refusal_uses_only_what_every_raise_gives():
    known = messages.catalogue("fr")["errors"]
    given = {code: params for code, (_, params) in refusals().items()}
    wrong = {code: fields("".join(entry)) - given[code] for code, entry in known.items() if code in given}
    assert {code: names for code, names in wrong.items() if names} == {}


def test_french_typography_is_set_when_read():
    assert messages.typeset("« Bonjour » : 5 % ; vraiment ?") == (
        "«\u202fBonjour\u202f»\u202f: 5\u202f%\u202f; vraiment\u202f?"
    )
    assert messages.sentence("budget.questions_only", "fr").endswith("personnes\u202f:")
    assert messages.sentence("home.title", "fr") == "Accueil"


def test_numbers_dates_and_instants_are_written_as_in_france():
    assert messages.number(1234567.5, "fr") == "1\u202f234\u202f567,5"
    assert messages.number(1234567.5, "en") == "1,234,567.5"
    assert messages.day(date(2026, 11, 1), "fr") == "1 novembre 2026"
    summer = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    assert messages.moment(summer, "fr") == "2 juillet 2026 à 00\u202fh\u202f30"
    assert messages.clock("2026-07-01T22:30:05.123456Z", "en").startswith("2 Jul 2026, 00:30:05")
    assert messages.clock("not an instant", "fr") == "not an instant"


@pytest.mark.parametrize(("ago", "words"), [(0, "aujourd’hui"), (1, "hier"), (3, "le 22 novembre 2026")])
def test_since_when_is_said_like_a_colleague_would(ago: int, words: str):
    now = datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert messages.since(now - timedelta(days=ago), now, "fr") == words


@pytest.mark.parametrize(
    ("header", "language"),
    [(None, "fr"), ("", "fr"), ("en-GB,en;q=0.9", "en"), ("fr,en", "fr"), ("de", "fr"), ("EN", "en")],
)
def test_french_unless_english_is_asked_for_first(header: str | None, language: str):
    assert messages.preferred(header) == language


def test_a_code_without_french_keeps_its_own_sentence_and_a_missing_blank_is_no_error():
    unknown = Refused("never_heard_of", "What happened.", "What to do.")
    assert messages.error(unknown, "fr")["message"] == "What happened."
    bare = Refused("budget_spent", "Too dear.")
    assert "… micro-rho" in messages.error(bare, "fr")["message"]


def test_a_parameter_is_a_value_and_never_a_pattern():
    hostile = Refused("project_closed", "Closed.", project="{rho.__class__}")
    assert "{rho.__class__}" in messages.error(hostile, "fr")["message"]


def test_the_catalogues_are_plain_toml():
    for language in ("fr", "en"):
        tomllib.loads((messages.LOCALES / f"{language}.toml").read_text())
