"""The newest bundle goes on behind its last entry."""

SEEN_WITH = "tiles"
FINDS = ("entries", 256)


def apply(trail, signer):
    bundle = trail / "tile/entries/001.p/44"
    bundle.write_bytes(bundle.read_bytes() + b"\x00\x00")
