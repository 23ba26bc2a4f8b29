"""Entry 8 is text that no recorder writes, in a log that is signed with the real key."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("events", 8)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[8] = b"[]"
    rewrite(trail, entries, signer)
