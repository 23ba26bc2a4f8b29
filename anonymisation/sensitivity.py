"""How far one privacy unit can move each exact statistic: closed formulas, squared so that they are integers.

Neighbours differ by one unit added or taken away. After bounding a unit holds at most K rows, at most k of them in each of at most
`l = min(L, G)` of the G declared groups. Each row adds a vector of length at most M to the cells of one group, so by the triangle
inequality a unit moves group g by at most `n_g * M`, where `0 <= n_g <= k`, at most l are not 0, and they add up to at most K. The
squared length `M**2 * sum n_g**2` is convex in the n_g, hence largest at a corner: as many groups as possible filled to k, the rest of
the K rows in one more. Without a bound per group k = K, and that is `(K*M)**2`, whatever L is. For distinct units each
group gets 0 or 1, in at most `min(l, K)` groups. Features of a second table change none of this (`features`). tests/properties holds a second computation, by enumeration, that shares nothing.
"""


def rows(most: int, groups: int, keys: int, per_group: int) -> int:
    """Give the squared L2 sensitivity of row counts: K rows, at most k in each of at most L of the declared groups."""
    open_groups, in_one = min(groups, keys), min(per_group, most)
    full = min(open_groups, most // in_one)
    rest = min(most - full * in_one, in_one) if full < open_groups else 0
    return full * in_one**2 + rest**2


def scaled(counted: int, length_squared: int) -> int:
    """Give the squared L2 sensitivity where each row adds a vector of at most this squared length, from that of row counts."""
    return counted * length_squared


def units(most: int, groups: int, keys: int) -> int:
    """Give the squared L2 sensitivity of a vector of distinct units over `keys` declared groups."""
    return min(most, groups, keys)
