"""Entry 8 says schema version 2, in a log that is signed with the real key."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("events", 8)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[8] = entries[8].replace(b'"v":1', b'"v":2')
    rewrite(trail, entries, signer)
