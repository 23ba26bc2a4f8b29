"""One byte of entry 17 is another one."""

from _rewrite import entries_of, write_bundles

SEEN_WITH = "tiles"
FINDS = ("entries", 17)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[17] = entries[17].replace(b'"v":1', b'"v":2')
    write_bundles(trail, entries)
