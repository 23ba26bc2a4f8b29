"""Entry 20 carries the id of entry 3, in a log that is signed with the real key."""

import orjson
from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("events", 20)


def apply(trail, signer):
    entries = entries_of(trail)
    old, new = orjson.loads(entries[20])["id"], orjson.loads(entries[3])["id"]
    entries[20] = entries[20].replace(old.encode(), new.encode())
    rewrite(trail, entries, signer)
