"""log.db is not a database."""

SEEN_WITH = "database"
FINDS = ("database", None)


def apply(trail, signer):
    (trail / "log.db").write_bytes(b"not a database" * 1000)
