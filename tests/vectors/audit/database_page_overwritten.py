"""A page in the middle of log.db holds noise."""

SEEN_WITH = "database"
FINDS = ("database", None)


def apply(trail, signer):
    database = trail / "log.db"
    held = bytearray(database.read_bytes())
    for page in range(4, len(held) // 4096, 3):
        held[page * 4096 : page * 4096 + 4096] = b"\xff" * 4096
    database.write_bytes(held)
