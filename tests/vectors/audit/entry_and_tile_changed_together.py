"""Entry 30 is another one and every tile was made to fit, without the key: only the signed root tells."""

from _rewrite import entries_of, rewrite

SEEN_WITH = "tiles"
FINDS = ("root", None)


def apply(trail, signer):
    signed = (trail / "checkpoint").read_bytes()
    entries = entries_of(trail)
    entries[30] = entries[30].replace(b"researcher-a", b"researcher-b")
    rewrite(trail, entries, signer)
    (trail / "checkpoint").write_bytes(signed)
