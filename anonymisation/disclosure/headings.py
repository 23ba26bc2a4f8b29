"""What the name of a column or a row says it holds: a count, a percentage, a measure, an axis. Words, not guesses."""

import re
from typing import Final, Literal

from anonymisation.identifiers.words import words_of

Holds = Literal["id", "count", "percent", "measure", "axis", "unknown"]


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


COUNT: Final = _set(
    "n nb nbr nbre nombre nombres eff effectif effectifs effectives count counts cnt freq freqs frequency frequencies "
    "frequence frequences patient patients sejour sejours stay stays cas case cases deces death deaths personne personnes "
    "person persons people individu individus subject subjects sujet sujets homme hommes femme femmes men women enfants "
    "children obs nobs observations number size len volume denominateur denominator numerateur numerator "
    "event events evenement evenements beneficiaires assures naissances births admissions hospitalisations total totals "
    "totaux ensemble all tous sum somme weight ponderation"
)
PERCENT: Final = _set(
    "pct perc percent percents percentage pourcent pourcentage pourcentages proportion proportions prop part share taux "
    "rate ratio prevalence incidence freqrel relative risque risk"
)
MEASURE: Final = _set(
    "mean moyenne moyen moy avg average median mediane med sd std stderr ecart type variance var se cout couts cost costs "
    "prix price montant amount eur euros duree dureemoyenne duration los dms length age poids taille bmi imc p pvalue "
    "coef coefficient coefficients beta estimate estimation or hr rr odds ic ci lower upper low high borne inf sup q1 q3 "
    "p25 p75 p5 p95 quantile iqr statistic stat statistique t z chi2 df ddl r2 auc score loglik aic bic epsilon rho"
)
# A table that has one of these is a model's result, not records.
STATISTIC: Final = _set("coef coefficient coefficients beta estimate se std stderr p pvalue or hr rr ic ci")
AXIS: Final = _set(
    "annee annees year years an mois month months jour day date semaine week trimestre quarter dept departement "
    "departements department region cim cim10 icd icd10 ccam ghm classe class groupe group categorie category "
    "rang rank ordre order index niveau level stade stage decile quartile quintile sexe sex hospital hopital "
    "cip cip7 cip13 ucd ucd7 ucd13 lpp atc iris commune insee etablissement finess service libelle label version step"
)
# Words that leave an axis an axis: mois de sortie, code postal.
FILLERS: Final = _set(
    "code de du des la le les d l sortie entree admission discharge naissance birth postal vie en of the group"
)
# Names of what tells one person or stay from another.
IDS: Final = _set("id identifiant identifier pseudo pseudonyme pseudonym uuid guid unit cle key hash token")
# Names that alone in a cell say that its row, or its neighbour, is a count.
ALONE: Final = _set("n nb nombre eff effectif effectifs count counts freq frequency obs nobs")
TOTALS: Final = _set("total totals totaux ensemble all tous sum somme overall")


def words(name: str) -> tuple[str, ...]:
    """Give the words of a name without the figures at their end, but for known ones such as cim10."""
    return tuple(
        word if word in MEASURE | AXIS else word.rstrip("0123456789") or word for word in words_of(name)
    )


def holds(name: str) -> Holds:
    """Say what a heading announces. `n (%)` is a count; `coût total` a measure; `taux de décès` a percentage."""
    said = words(name)
    if any(word in IDS for word in said) and not any(word in ALONE for word in said):
        return "id"
    counted = any(word in COUNT or word == "#" or _glued(word) for word in said)
    if "%" in said:
        return "count" if any(word in ALONE for word in said) else "percent"
    if any(word in PERCENT for word in said):
        return "percent"
    if any(word in MEASURE for word in said) and not (said == ("age",) and _names_a_class(name)):
        return "measure"
    if counted:
        return "count"
    known = any(word in AXIS for word in said) and all(word in AXIS | FILLERS for word in said)
    return "axis" if known and not _names_a_class(name) else "unknown"


def _names_a_class(name: str) -> bool:
    """Tell whether a heading is one class of an axis, such as `Dept 59` or `age 0-10`: then its numbers are counts."""
    return re.search(r"(?<![a-z0-9])[0-9]", name.lower()) is not None


def is_count_alone(name: str) -> bool:
    """Tell whether a cell is nothing but a word for a count."""
    said = words_of(name)
    return len(said) == 1 and said[0] in ALONE


def announces_count(name: str) -> bool:
    """Tell whether a row's label says that its numbers are counts, in so many words: `Nombre de séjours`."""
    return holds(name) == "count" and any(word in ALONE for word in words_of(name))


def is_total(name: str) -> bool:
    """Tell whether a heading announces a total."""
    return any(word in TOTALS for word in words(name))


def _glued(word: str) -> bool:
    """Tell whether a word is `n` or `nb` glued to what is counted, as in npatients."""
    return (
        any(word.startswith(prefix) and word.removeprefix(prefix) in COUNT for prefix in ("nb", "n"))
        and word not in COUNT
    )
