"""Entry 8 is a release event whose request is not an id, in a log that is signed with the real key."""

import orjson
from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("events", 8)


def apply(trail, signer):
    entries = entries_of(trail)
    event = orjson.loads(entries[8])
    event |= {"type": "release.package", "release": {"request": ["x"]}}
    entries[8] = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    rewrite(trail, entries, signer)
