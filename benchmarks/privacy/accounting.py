"""What many answers cost together: ours, by adding up zCDP, against the exact privacy loss distribution.

Gaussian answers compose to one Gaussian, whose trade-off is known in closed form (Balle and Wang 2018, theorem 8): what a PLD
accountant approaches by convolution from above. The noise is discrete; at scales of 40 the two differ by far less than is printed.
"""

import math
from statistics import NormalDist

from anonymisation import noise
from anonymisation.budget import DELTA, MICRO

ANSWERS, SCALE = 200, 40.0


def ours_for(answers: int = ANSWERS, scale: float = SCALE) -> float:
    """Give the epsilon the house tells for so many answers of sensitivity 1."""
    return noise.epsilon(round(answers / (2 * scale**2) * MICRO))


def exact_for(answers: int = ANSWERS, scale: float = SCALE) -> float:
    """Give the least epsilon at the same delta."""
    distance, normal = answers**0.5 / scale, NormalDist()

    def delta(epsilon: float) -> float:
        tail = normal.cdf(distance / 2 - epsilon / distance)
        return tail - math.exp(epsilon) * normal.cdf(-distance / 2 - epsilon / distance)

    low, high = 0.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if delta(middle) > DELTA else (low, middle)
    return high
