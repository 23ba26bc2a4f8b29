"""The tile above the full one is gone."""

SEEN_WITH = "tiles"
FINDS = ("tiles", 0)


def apply(trail, signer):
    (trail / "tile/1/000.p/1").unlink()
