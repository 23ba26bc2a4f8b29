"""Public standard populations that rates are standardised by; they are constants, nothing of them comes from any data here."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Standard:
    """A standard population: the youngest age of each band, the persons in it, and where the figures were published."""

    name: str
    starts: tuple[int, ...]
    persons: tuple[int, ...]
    source: str


ESP_2013: Final = Standard(
    "esp2013",
    (0, 1, *range(5, 100, 5)),
    (
        1_000, 4_000, 5_500, 5_500, 5_500, 6_000, 6_000, 6_500, 7_000, 7_000, 7_000,
        7_000, 6_500, 6_000, 5_500, 5_000, 4_000, 2_500, 1_500, 800, 200,
    ),
    "Eurostat, Revision of the European Standard Population, 2013 edition, annex F: EU-27 and EFTA, 100 000 persons",
)  # fmt: skip

STANDARDS: Final[dict[str, Standard]] = {ESP_2013.name: ESP_2013}


def bands(standard: Standard, edges: tuple[int, ...]) -> tuple[int, ...]:
    """Give the persons of each wider band `[edge, next edge)`, the last one open; raises `ValueError` where an edge cuts a band."""
    return wider(standard.starts, standard.persons, edges)


def wider(starts: tuple[int, ...], numbers: tuple[int, ...], edges: tuple[int, ...]) -> tuple[int, ...]:
    """Add numbers of age bands up to wider ones; raises `ValueError` where an edge cuts a band."""
    if any(edge not in starts for edge in edges):
        raise ValueError(edges)
    ends = (*edges[1:], None)
    return tuple(
        sum(
            persons
            for start, persons in zip(starts, numbers, strict=True)
            if start >= low and (high is None or start < high)
        )
        for low, high in zip(edges, ends, strict=True)
    )
