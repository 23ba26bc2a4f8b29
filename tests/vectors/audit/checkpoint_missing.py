"""There is no checkpoint."""

SEEN_WITH = "tiles"
FINDS = ("checkpoint", None)


def apply(trail, signer):
    (trail / "checkpoint").unlink()
