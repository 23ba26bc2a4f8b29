"""The first hash tile has lost its last hash."""

SEEN_WITH = "tiles"
FINDS = ("tiles", 0)


def apply(trail, signer):
    tile = trail / "tile/0/000"
    tile.write_bytes(tile.read_bytes()[:-32])
