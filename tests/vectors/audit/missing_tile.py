"""The first hash tile is gone."""

SEEN_WITH = "tiles"
FINDS = ("tiles", 0)


def apply(trail, signer):
    (trail / "tile/0/000").unlink()
