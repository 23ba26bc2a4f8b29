"""What people read, in French first and English second: refusals by code, page sentences by key.

The two catalogues in `locale/` hold every sentence; French typography is applied when they are loaded, so that
a translator types plain spaces.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from enclave.errors import Told

Language = Literal["fr", "en"]
Params = Mapping[str, object]

LOCALES = Path(__file__).parent / "locale"
PARIS = ZoneInfo("Europe/Paris")
NARROW = "\u202f"  # before ; : ! ? % and inside guillemets: Imprimerie nationale, Lexique des règles typographiques
_BEFORE = re.compile(r" (?=[;:!?%»](?:\s|$|[.,)\"]))")
_AFTER = re.compile(r"(?<=«) ")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w|«)")


class _Known(dict[str, object]):
    """A missing parameter is left out rather than an error while telling an error."""

    def __missing__(self, key: str) -> str:
        return "…"


@cache
def catalogue(language: Language) -> Mapping[str, Any]:
    """Load one language's sentences."""
    text = (LOCALES / f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(typeset(text) if language == "fr" else text)


def typeset(text: str) -> str:
    """Give French text its narrow no-break spaces and its apostrophes."""
    return _APOSTROPHE.sub("’", _AFTER.sub(NARROW, _BEFORE.sub(NARROW, text)))


def preferred(accept_language: str | None) -> Language:
    """Read an Accept-Language header; French unless English is asked for first."""
    first = (accept_language or "").split(",", 1)[0].strip().lower()
    return "en" if first.startswith("en") else "fr"


def of_terminal() -> Language:
    """Speak French where the terminal does, else English."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "fr" if spoken.lower().startswith("fr") else "en"


def error(told: Told, language: Language) -> dict[str, str]:
    """Give an error's code, message and remedy.

    A refusal's English stands beside its `raise`, where its author sees it; the French is looked up by code, and
    a code without one keeps its English rather than saying nothing.
    """
    entry = catalogue(language)["errors"].get(told.code)
    if entry is None:
        return {"code": told.code, "message": told.message, "to_do": told.to_do}
    message, to_do = filled(entry, told.params, language)
    return {"code": told.code, "message": message, "to_do": to_do}


def filled(entry: Sequence[str], params: Params, language: Language) -> tuple[str, str]:
    """Fill a sentence and its remedy."""
    written = _written(params, language)
    sentence, to_do = (part.format_map(written) for part in entry)
    return sentence, to_do


def sentence(key: str, language: Language, **params: object) -> str:
    """Give a page's sentence by its dotted key; `n` picks `none`, `one` or `many` where they exist."""
    entry: Any = catalogue(language)["page"]
    for part in key.split("."):
        entry = entry[part]
    if isinstance(entry, dict):
        entry = entry[_plural(params["n"])]
    text: str = entry
    return text.format_map(_written(params, language))


def number(value: float, language: Language) -> str:
    """Write a number with the language's separators."""
    return format_decimal(value, locale=language).replace("\u00a0", NARROW)


def day(value: date, language: Language) -> str:
    """Write a date."""
    return format_date(value, "d MMMM yyyy" if language == "fr" else "d MMM yyyy", locale=language)


def moment(value: datetime, language: Language) -> str:
    """Write an instant as clocks in Paris show it."""
    form = f"d MMMM yyyy 'à' HH{NARROW}'h'{NARROW}mm" if language == "fr" else "d MMM yyyy, HH:mm"
    return format_datetime(value, form, tzinfo=PARIS, locale=language)


def clock(written: str, language: Language) -> str:
    """Write an event's own instant (RFC 3339, UTC) in Paris time to the second; text that is none stays as it is."""
    try:
        value = datetime.fromisoformat(written)
    except ValueError:
        return written
    form = "d MMM yyyy, HH:mm:ss"
    return format_datetime(value, form, tzinfo=PARIS, locale=language)


def since(value: datetime, now: datetime, language: Language) -> str:
    """Say since when, the way a colleague would: today, yesterday, else the date."""
    days = (now.astimezone(PARIS).date() - value.astimezone(PARIS).date()).days
    if days <= 1:
        return sentence("since.today" if days <= 0 else "since.yesterday", language)
    return sentence("since.date", language, date=day(value.astimezone(PARIS).date(), language))


def _plural(count: object) -> str:
    return "none" if count == 0 else "one" if count == 1 else "many"


def _written(params: Params, language: Language) -> _Known:
    return _Known(
        {
            name: number(value, language) if isinstance(value, int) and not isinstance(value, bool) else value
            for name, value in params.items()
        }
    )
