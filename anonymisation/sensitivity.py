"""How far one privacy unit can move each exact statistic: closed formulas, squared so that they are integers.

Neighbours differ by one unit added or taken away. After bounding a unit holds at most K rows, in at most `l = min(K, L, G)` of
the G declared groups, and each row adds to one group only. So a unit's change to a vector of counts is (n_1 .. n_G) with
n_g >= 0 and sum n_g <= K. Its squared length is convex in the allocation, hence largest at a corner: all K rows in one group,
`K**2`, whatever L is. A row's term in a sum is at most M, so the same argument gives `(K*M)**2`. For distinct units each
group gets 0 or 1, in at most l groups: `l`. tests/properties holds a second computation, by enumeration, that shares nothing.
"""


def counts(rows: int) -> int:
    """Give the squared L2 sensitivity of a vector of row counts."""
    return rows**2


def sums(rows: int, magnitude: int) -> int:
    """Give the squared L2 sensitivity of a vector of sums whose terms are at most `magnitude` in absolute value."""
    return (rows * magnitude) ** 2


def units(rows: int, groups: int, keys: int) -> int:
    """Give the squared L2 sensitivity of a vector of distinct units over `keys` declared groups."""
    return min(rows, groups, keys)
