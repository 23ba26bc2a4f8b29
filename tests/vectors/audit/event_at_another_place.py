"""Entry 20 stands twice, at 20 and at 21, in a log that is signed with the real key."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("events", 21)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[21] = entries[20]
    rewrite(trail, entries, signer)
