"""Entries 10 and 11 changed places."""

from _rewrite import entries_of, write_bundles

SEEN_WITH = "tiles"
FINDS = ("entries", 10)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[10], entries[11] = entries[11], entries[10]
    write_bundles(trail, entries)
