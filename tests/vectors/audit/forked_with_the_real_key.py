"""Whoever holds the key rewrote entry 100 and signed the result; the database went with it.

The folder is whole in itself. A verifier who remembers a checkpoint from before sees that it is not the log he
knew; one who remembers nothing sees nothing. That is what witnesses are for.
"""

from _rewrite import entries_of, rewrite

SEEN_WITH = "remembered"
FINDS = ("remembered", None)


def apply(trail, signer):
    entries = entries_of(trail)
    entries[100] = entries[100].replace(b"researcher-a", b"researcher-b")
    rewrite(trail, entries, signer)
