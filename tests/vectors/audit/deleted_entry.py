"""Entry 40 is gone and the later ones moved up."""

from _rewrite import entries_of, write_bundles

SEEN_WITH = "tiles"
FINDS = ("entries", 40)


def apply(trail, signer):
    entries = entries_of(trail)
    write_bundles(trail, entries[:40] + entries[41:])
