"""The hash over entries 0 to 255 in the tile above is another one."""

SEEN_WITH = "tiles"
FINDS = ("tiles", 0)


def apply(trail, signer):
    (trail / "tile/1/000.p/1").write_bytes(bytes(32))
