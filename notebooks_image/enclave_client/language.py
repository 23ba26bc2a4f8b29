"""The two languages a researcher reads, and how numbers are written in each."""

import os
import re
from typing import Literal

Language = Literal["fr", "en"]
NARROW = "\u202f"  # the space French puts before ; : ! ? and inside numbers
PER_MILLION = 1_000_000
_BEFORE = re.compile(r" (?=[;:!?%»](?:\s|$))")
_AFTER = re.compile(r"(?<=«) ")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w|«)")

_chosen: list[Language] = ["en" if os.environ.get("ENCLAVE_LANGUAGE") == "en" else "fr"]


def language(name: Language | None = None) -> Language:
    """Choose "fr" or "en" for every sentence from now on; without a name, tell which is in use."""
    if name is not None:
        if name not in {"fr", "en"}:
            raise ValueError("language: 'fr' or 'en'")
        _chosen[0] = name
    return _chosen[0]


def say(french: str, english: str) -> str:
    """Give the sentence in the chosen language."""
    return _typeset(french) if _chosen[0] == "fr" else english


def _typeset(text: str) -> str:
    return _APOSTROPHE.sub("’", _AFTER.sub(NARROW, _BEFORE.sub(NARROW, text)))


def number(value: float, digits: int | None = None) -> str:
    """Write a number as the reader expects it: `12 345,6` in French, `12,345.6` in English."""
    shown = digits if digits is not None else _useful_digits(value)
    text = f"{value:,.{shown}f}"
    if _chosen[0] == "fr":
        return text.replace(",", NARROW).replace(".", ",").replace("-", "−")
    return text


def percent(part: float, whole: float) -> str:
    """Write a share; `whole` may be zero (nothing was allotted, so everything is spent)."""
    share = 100 * part / whole if whole else 100.0
    return number(share, 0 if share == int(share) else 1) + say(f"{NARROW}%", "%")


def loss(rho_micro: int) -> str:
    """Write a privacy loss given in micro-rho."""
    written = f"{rho_micro / PER_MILLION:.6f}".rstrip("0").rstrip(".")
    return f"ρ = {written}".replace(".", say(",", "."))


def _useful_digits(value: float) -> int:
    """Three significant figures are enough for a noisy value; counts have no decimals."""
    size = abs(value)
    if value == int(value) or size >= 100:  # noqa: PLR2004 - three figures before the comma
        return 0
    return 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004
