"""The first bundle of entries is gone."""

SEEN_WITH = "tiles"
FINDS = ("entries", 0)


def apply(trail, signer):
    (trail / "tile/entries/000").unlink()
