"""The sentences that tell an answer, in French and in English; `{}` fields are filled with figures already formatted."""

from dataclasses import dataclass
from typing import Final

NARROW_SPACE: Final = "\u202f"
NO_BREAK_SPACE: Final = "\u00a0"


@dataclass(frozen=True)
class Language:
    """The sentences of one language."""

    thousands: str
    decimal: str
    named: str
    also: str
    more: tuple[str, str]
    about: str
    alone: str
    patients: str
    untold: str
    over: str
    extremes: str
    quantile: str
    listed: str
    survival: str
    rate: str
    slope: str
    tables: str
    both: str
    noise: str
    mixed: str
    below: str
    repaired: str
    kept: str
    kept_groups: str
    patient: str
    one: str
    rows: tuple[str, str]
    groups: tuple[str, str]
    row: str
    yes_no: tuple[str, str]


FRENCH: Final = Language(
    thousands=NARROW_SPACE,
    decimal=",",
    named=f"{{name}}{NO_BREAK_SPACE}: ",
    also=f"{NARROW_SPACE}; ",
    more=("et {count} autre figure", "et {count} autres figures"),
    about="environ {value}, à {width} près",
    alone="environ {value}, sans intervalle",
    patients="environ {value} patients, à {width} près",
    untold="trop peu de lignes pour le dire",
    over="Par {by}, {name} va d’environ {low} ({low_key}) à environ {high} ({high_key}).",
    extremes="Par {by}, aucun groupe ne compte assez de lignes pour dire {name}.",
    quantile="{share}\u00a0% des lignes ne dépassent pas environ {value} (de {low} à {high})",
    listed="la plus grande des {cells} cases est {at}, {about}",
    survival="environ {value}\u00a0% sans l’événement à {at}, à {width} points près",
    rate="environ {value} pour 100\u202f000, à {width} près",
    slope="{term}, {about}",
    tables="Par {by}, {name} donne {cells} cases à chacun des {groups} groupes.",
    both="L’intervalle à 95\u00a0% réunit bruit et échantillonnage (lignes supposées indépendantes).",
    noise="L’intervalle à 95\u00a0% ne contient que le bruit\u00a0: ce n’est pas un intervalle de confiance.",
    mixed="L’intervalle à 95\u00a0% réunit bruit et échantillonnage, sauf où «\u00a0holds\u00a0» dit «\u00a0noise\u00a0» (bruit seul).",
    below="Valeurs proches du bruit\u00a0: {count} sur {cells}.",
    repaired="Matrice réparée, car perdue dans le bruit\u00a0: coefficients sans intervalle.",
    kept="Chaque {unit} compte pour au plus {rows}.",
    kept_groups="Chaque {unit} compte pour au plus {rows} dans {groups}.",
    patient="patient",
    one="unité ({unit})",
    rows=("ligne", "lignes"),
    groups=("groupe", "groupes"),
    row="L’unité protégée est la ligne, pas la personne.",
    yes_no=("non", "oui"),
)
ENGLISH: Final = Language(
    thousands=",",
    decimal=".",
    named="{name}: ",
    also="; ",
    more=("and {count} more figure", "and {count} more figures"),
    about="about {value}, give or take {width}",
    alone="about {value}, without an interval",
    patients="about {value} patients, give or take {width}",
    untold="too few rows to say",
    over="By {by}, {name} goes from about {low} ({low_key}) to about {high} ({high_key}).",
    extremes="By {by}, no group has enough rows to tell {name}.",
    quantile="{share} % of rows are at most about {value} ({low} to {high})",
    listed="the largest of {cells} cells is {at}, {about}",
    survival="about {value} % without the event at {at}, give or take {width} points",
    rate="about {value} per 100,000, give or take {width}",
    slope="{term}, {about}",
    tables="By {by}, {name} gives {cells} cells to each of {groups} groups.",
    both="The 95 % interval holds noise and sampling together (rows taken as independent).",
    noise="The 95 % interval holds privacy noise only: it is not a confidence interval.",
    mixed='The 95 % interval holds noise and sampling, except where "holds" says "noise".',
    below="Values near the noise: {count} of {cells}.",
    repaired="The matrix was lost in noise and repaired: coefficients without an interval.",
    kept="Each {unit} counts for at most {rows}.",
    kept_groups="Each {unit} counts for at most {rows} in {groups}.",
    patient="patient",
    one="unit ({unit})",
    rows=("row", "rows"),
    groups=("group", "groups"),
    row="The protected unit is the row, not the person.",
    yes_no=("no", "yes"),
)
