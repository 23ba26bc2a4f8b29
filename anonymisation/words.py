"""An answer told in French and English: the finding first, then what the interval holds and whom it protects."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Final

from anonymisation.bounds import Table
from anonymisation.estimate import Cell
from anonymisation.plan import Plan

NARROW_SPACE: Final = "\u202f"
NO_BREAK_SPACE: Final = "\u00a0"

Keys = tuple[str | int | bool, ...]
Group = tuple[Keys, dict[str, Cell]]


@dataclass(frozen=True)
class Language:
    """The sentences of one language; `{}` fields are filled with numbers already formatted."""

    thousands: str
    decimal: str
    colon: str
    also: str
    about: str
    untold: str
    over: str
    extremes: str
    both: str
    noise: str
    mixed: str
    below: str
    kept: str
    kept_groups: str
    rows: tuple[str, str]
    groups: tuple[str, str]
    row: str
    yes_no: tuple[str, str]


FRENCH: Final = Language(
    thousands=NARROW_SPACE,
    decimal=",",
    colon=f"{NO_BREAK_SPACE}: ",
    also=f"{NARROW_SPACE}; ",
    about="environ {value}, à {width} près",
    untold="trop peu de lignes pour le dire",
    over="Sur {groups} groupes par {by}, {name} va de {low} ({low_key}) à {high} ({high_key}).",
    extremes="Sur {groups} groupes par {by}, aucun ne compte assez de lignes pour dire {name}.",
    both="L’intervalle à 95\u00a0% réunit le bruit de confidentialité et l’aléa d’échantillonnage (lignes supposées indépendantes).",
    noise="L’intervalle à 95\u00a0% ne contient que le bruit de confidentialité\u00a0: ce n’est pas un intervalle de confiance.",
    mixed="L’intervalle à 95\u00a0% réunit bruit et échantillonnage, sauf là où «\u00a0holds\u00a0» dit «\u00a0noise\u00a0» (bruit seul).",
    below="Valeurs qui ne se distinguent pas nettement du bruit\u00a0: {count} sur {cells}.",
    kept="On retient de chaque {unit} au plus {rows}.",
    kept_groups="On retient de chaque {unit} au plus {rows}, dans au plus {groups}.",
    rows=("ligne", "lignes"),
    groups=("groupe", "groupes"),
    row="L’unité protégée est la ligne, pas la personne.",
    yes_no=("non", "oui"),
)
ENGLISH: Final = Language(
    thousands=",",
    decimal=".",
    colon=": ",
    also="; ",
    about="about {value}, give or take {width}",
    untold="too few rows to say",
    over="Over {groups} groups by {by}, {name} goes from {low} ({low_key}) to {high} ({high_key}).",
    extremes="Over {groups} groups by {by}, none has enough rows to tell {name}.",
    both="The 95 % interval holds privacy noise and sampling together (rows taken as independent).",
    noise="The 95 % interval holds privacy noise only: it is not a confidence interval.",
    mixed='The 95 % interval holds noise and sampling, except where "holds" says "noise".',
    below="Values not clearly above the noise: {count} of {cells}.",
    kept="At most {rows} of each {unit} are kept.",
    kept_groups="At most {rows} of each {unit} are kept, in at most {groups}.",
    rows=("row", "rows"),
    groups=("group", "groups"),
    row="The protected unit is the row, not the person.",
    yes_no=("no", "yes"),
)


def words(plan: Plan, table: Table, groups: Sequence[Group]) -> dict[str, str]:
    """Give the answer in words, `fr` and `en`; the first sentence is the finding."""
    return {
        code: _tell(language, plan, table, groups) for code, language in (("fr", FRENCH), ("en", ENGLISH))
    }


def _tell(language: Language, plan: Plan, table: Table, groups: Sequence[Group]) -> str:
    cells = [cell for _, row in groups for cell in row.values()]
    sentences = [
        _finding(language, plan, groups),
        _interval(language, cells),
        _below(language, cells),
        _bounds(language, plan, table),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _finding(language: Language, plan: Plan, groups: Sequence[Group]) -> str:
    if not plan.keys:
        findings = [f"{name}{language.colon}{_about(language, cell)}" for name, cell in groups[0][1].items()]
        return language.also.join(findings) + "."
    return " ".join(_range(language, plan, groups, statistic.name) for statistic in plan.statistics)


def _range(language: Language, plan: Plan, groups: Sequence[Group], name: str) -> str:
    """Name the smallest and the largest cell of one statistic."""
    told = sorted(
        (
            (cell.value, place)
            for place, (_, row) in enumerate(groups)
            if (cell := row[name]).value is not None
        ),
    )
    by = ", ".join(key.name for key in plan.keys)
    facts = {"groups": _number(language, len(groups), 0), "by": by, "name": name}
    if not told:
        return language.extremes.format(**facts)
    (_, least), (_, most) = told[0], told[-1]
    return language.over.format(
        low=_about(language, groups[least][1][name]),
        low_key=_keys(language, groups[least][0]),
        high=_about(language, groups[most][1][name]),
        high_key=_keys(language, groups[most][0]),
        **facts,
    )


def _keys(language: Language, keys: Keys) -> str:
    return ", ".join(language.yes_no[key] if isinstance(key, bool) else str(key) for key in keys)


def _about(language: Language, cell: Cell) -> str:
    if cell.value is None or cell.low is None or cell.high is None:
        return language.untold
    width = max(cell.high - cell.value, cell.value - cell.low)
    decimals = 0 if isinstance(cell.value, int) else _decimals(width)
    return language.about.format(
        value=_number(language, cell.value, decimals), width=_number(language, width, decimals)
    )


def _decimals(width: float) -> int:
    """Keep two significant figures of the width."""
    return 0 if width <= 0 else min(9, max(0, 1 - floor(log10(width))))


def _number(language: Language, number: float, decimals: int) -> str:
    text = f"{number:,.{decimals}f}".replace("-", "\u2212")
    return text.replace(",", "\0").replace(".", language.decimal).replace("\0", language.thousands)


def _interval(language: Language, cells: Sequence[Cell]) -> str:
    kinds = {cell.holds for cell in cells if cell.value is not None}
    if not kinds:
        return ""
    return language.mixed if len(kinds) > 1 else language.noise if kinds == {"noise"} else language.both


def _below(language: Language, cells: Sequence[Cell]) -> str:
    count = sum(cell.below_noise for cell in cells)
    if not count:
        return ""
    return language.below.format(count=_number(language, count, 0), cells=_number(language, len(cells), 0))


def _bounds(language: Language, plan: Plan, table: Table) -> str:
    if table.per_row:
        return language.row
    groups = min(plan.groups, plan.rows, plan.size)
    sentence = language.kept_groups if plan.keys else language.kept
    return sentence.format(
        unit=table.unit, rows=_counted(plan.rows, language.rows), groups=_counted(groups, language.groups)
    )


def _counted(number: int, noun: tuple[str, str]) -> str:
    return f"{number} {noun[number > 1]}"
