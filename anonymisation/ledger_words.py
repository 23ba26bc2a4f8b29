"""What a cap means: a recommended start, how well the best guess could do once it is spent, and what remains possible then.

A loss of rho, spent by Gaussian noise, is a Gaussian trade-off with mu = sqrt(2 rho): whoever knows everything about everybody else
and is wrong on a share `a` of those who are not in the data recognises at most Phi(mu + Phi^-1(a)) of those who are (Dong, Roth and
Su 2022, corollary 1; the discrete Gaussian follows it closely).
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

MICRO: Final = 1_000_000
FALSE_ALARMS: Final = 0.05


@dataclass(frozen=True)
class StartingCaps:
    """Caps to begin a dataset with, in micro-rho: its population, each project's share, each person's."""

    population: int
    project: int
    person: int


RECOMMENDED: Final = StartingCaps(population=2_000_000, project=500_000, person=250_000)
"""Four projects may spend theirs whole. For scale: the US Census spent rho = 2.63 on persons in its 2020 redistricting data."""


def recognised(rho_micro: int, false_alarms: float = FALSE_ALARMS) -> float:
    """Give the largest share of people in the data that a guess with so many false alarms recognises once rho is spent."""
    normal = NormalDist()
    return normal.cdf(sqrt(2 * rho_micro / MICRO) + normal.inv_cdf(false_alarms))


def meaning(rho_micro: int) -> dict[str, str]:
    """Say in words what a loss allows, `fr` and `en`."""
    of_100 = round(100 * recognised(rho_micro))
    return {
        "fr": "Qui saurait tout de tous les autres, et verrait toutes les réponses, reconnaîtrait au plus "
        f"{of_100} sur 100 des personnes présentes en se trompant sur 5 absentes sur 100 ; le hasard en donne 5.",
        "en": "Somebody who knew everything about everyone else and saw every answer would recognise at most "
        f"{of_100} in 100 of the people present, while wrong about 5 in 100 of the absent; chance gives 5.",
    }


def remains() -> dict[str, str]:
    """Say in words what is still possible once a cap is spent, `fr` and `en`."""
    return {
        "fr": "Une fois le plafond atteint : les réponses déjà payées restent rendues gratuitement, les prix et les données "
        "fictives aussi ; plus aucune question nouvelle. Rien ne se recharge, pas même par une nouvelle version des données ; "
        "relever le plafond est un acte consigné, à convenir avec le partenaire. La sortie de fichiers relus reste une autre voie.",
        "en": "Once a cap is reached: answers already paid for are still given free, and so are prices and made-up data; no new "
        "question is. Nothing refills it, not even a new version of the data; raising the cap is a recorded act to be agreed "
        "with the partner. Asking for reviewed files to leave remains another way.",
    }
