"""Whoever holds the key replaced the newest 20 entries by others and sealed them anew (as CVE-2023-31439 allowed).

The folder is whole in itself, and every older checkpoint up to entry 280 is continued. Only somebody who remembers
one from after that, or a witness, sees it.
"""

from _rewrite import entries_of, rewrite

SEEN_WITH = "remembered"
FINDS = ("remembered", None)


def apply(trail, signer):
    entries = entries_of(trail)
    sealed = [entry.replace(b"researcher-a", b"researcher-b") for entry in entries[280:]]
    rewrite(trail, [*entries[:280], *sealed], signer)
