"""Files and database of an earlier day were put back together: nothing in the folder can tell."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "remembered"
FINDS = ("remembered", 200)


def apply(trail, signer):
    rewrite(trail, entries_of(trail)[:200], signer)
