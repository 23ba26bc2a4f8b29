"""The newest 44 entries are gone, the checkpoint still counts them."""

SEEN_WITH = "tiles"
FINDS = ("entries", 256)


def apply(trail, signer):
    (trail / "tile/entries/001.p/44").unlink()
    (trail / "tile/0/001.p/44").unlink()
