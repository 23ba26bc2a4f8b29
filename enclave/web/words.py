"""States, sizes and losses in words."""

from enclave import messages
from enclave.messages import Language
from enclave.web.sheets import (
    Allowance,
    RequestLine,
)

PER_MILLION = 1_000_000
KIB = 1024


def status_words(line: RequestLine, language: Language) -> str:
    """Say where a request stands."""
    said = messages.sentence(f"status.{line.status.lower()}", language)
    return f"{said} {line.outcome_reason}".strip()


def amount(rho_micro: int, language: Language) -> str:
    """Write a privacy loss given in micro-rho."""
    return messages.number(rho_micro / PER_MILLION, language)


def size(count: int, language: Language) -> str:
    """Write a file's size in the unit a person would use."""
    unit = "size.bytes" if count < KIB else "size.kib" if count < KIB**2 else "size.mib"
    scale = {"size.bytes": 1, "size.kib": KIB, "size.mib": KIB**2}[unit]
    return messages.sentence(unit, language, amount=messages.number(round(count / scale, 1), language))


def left_percent(part: Allowance) -> int:
    """Give what is left as a whole percentage, rounded down: never more than there is."""
    return 100 * max(part.left_rho_micro, 0) // part.cap_rho_micro if part.cap_rho_micro else 0
