"""Files of an earlier day were put back: 200 entries under a checkpoint that the log did sign."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "database"
FINDS = ("database", 200)


def apply(trail, signer):
    held = {name: (trail / name).read_bytes() for name in ("log.db",)}
    rewrite(trail, entries_of(trail)[:200], signer)
    for name, data in held.items():
        (trail / name).write_bytes(data)
