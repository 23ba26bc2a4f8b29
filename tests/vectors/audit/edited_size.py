"""The checkpoint says 299 entries under the old signature."""

SEEN_WITH = "tiles"
FINDS = ("checkpoint", None)


def apply(trail, signer):
    checkpoint = trail / "checkpoint"
    checkpoint.write_text(checkpoint.read_text().replace("\n300\n", "\n299\n"))
