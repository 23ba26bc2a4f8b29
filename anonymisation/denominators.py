"""What a rate is over: the rows themselves, or public numbers of persons, the asker's or those a steward declared with a source.

Nothing here looks at data: standard populations are constants, denominators are declared, and both fit age bands that the asker widens.
"""

from dataclasses import replace
from itertools import pairwise

from anonymisation import standards
from anonymisation.bounds import Table
from anonymisation.errors import BadQuestion
from anonymisation.form import Ask
from anonymisation.vectors import Rate


def rate(ask: Ask, table: Table) -> tuple[tuple[int, ...], Rate]:
    """Give the youngest age of each band, and its weight and persons; raises `BadQuestion` naming what does not fit."""
    starts, weights = _bands(ask)
    return starts, _over_persons(ask, table, starts, Rate(weights, ask.persons))


def _over_persons(ask: Ask, table: Table, starts: tuple[int, ...], shape: Rate) -> Rate:
    """Give the rate the public numbers of persons it is over: those asked with, or those the steward declared."""
    if ask.denominator is None:
        if ask.event is None and not ask.persons:
            raise BadQuestion(
                "rate_denominator",
                "A rate needs a denominator.",
                'Give "denominator" or "persons" of each age band from a public table, or an "event" among the rows.',
            )
        return shape
    known = {one.name: one for one in table.denominators}
    if ask.denominator not in known or ask.persons:
        raise BadQuestion(
            "denominator_unknown",
            f"{table.dataset} has no denominator of that name, or persons were given as well.",
            f"Declared: {', '.join(known) or 'none'}.",
            known=", ".join(known),
            dataset=table.dataset,
        )
    denominator = known[ask.denominator]
    if any(start not in denominator.starts for start in starts):
        raise BadQuestion(
            "denominator_bands",
            "The age bands are not made of those of the denominator.",
            f"Edges among: {', '.join(map(str, denominator.starts))}.",
            known=", ".join(map(str, denominator.starts)),
        )
    persons = tuple(
        (value, standards.wider(denominator.starts, each, starts)) for value, each in denominator.persons
    )
    whole = tuple(sum(band) for band in zip(*(each for _, each in persons), strict=True))
    return replace(shape, persons=whole, split=denominator.column or "", persons_of=persons)


def _bands(ask: Ask) -> tuple[tuple[int, ...], tuple[float, ...]]:
    standard = standards.STANDARDS.get(ask.standard or "")
    if standard is None:
        raise BadQuestion(
            "standard_unknown",
            "The standard population asked for is not known.",
            f"Known: {', '.join(standards.STANDARDS)}.",
            known=", ".join(standards.STANDARDS),
        )
    edges = tuple(int(edge) for edge in ask.edges if edge.isdecimal()) if ask.edges else standard.starts
    fits = len(edges) == len(ask.edges or edges) and all(low < high for low, high in pairwise(edges))
    if not fits or any(edge not in standard.starts for edge in edges):
        raise BadQuestion(
            "standard_bands",
            "The age bands are not made of those of the standard population.",
            f"Edges among: {', '.join(map(str, standard.starts))}.",
        )
    if ask.persons and len(ask.persons) != len(edges):
        raise BadQuestion(
            "standard_bands",
            f"There are {len(edges)} age bands, and another number of persons.",
            "Give one number of persons for each band.",
        )
    persons = standards.bands(standard, edges)
    return edges, tuple(each / sum(persons) for each in persons)
