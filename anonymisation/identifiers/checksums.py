"""The checksums of French identifiers: a right one makes a number certain, a wrong one never makes it harmless."""


def luhn_is_valid(figures: str) -> bool:
    """Tell whether the last figure is the Luhn check of the others (ISO/IEC 7812-1)."""
    weighed = (int(figure) * (1 + turn % 2) for turn, figure in enumerate(reversed(figures)))
    return sum(value // 10 + value % 10 for value in weighed) % 10 == 0


def iban_is_valid(written: str) -> bool:
    """Tell whether an account number passes ISO 7064 mod 97-10 (ISO 13616); spaces and hyphens do not count."""
    plain = "".join(letter for letter in written if letter.isalnum()).upper()
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1
