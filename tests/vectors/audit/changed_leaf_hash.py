"""The hash of entry 5 in its tile is another one; the entry itself is what was signed."""

SEEN_WITH = "tiles"
FINDS = ("entries", 5)


def apply(trail, signer):
    tile = trail / "tile/0/000"
    held = tile.read_bytes()
    tile.write_bytes(held[: 5 * 32] + bytes(32) + held[6 * 32 :])
