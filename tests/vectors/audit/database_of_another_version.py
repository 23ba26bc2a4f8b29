"""log.db says a schema version nobody knows."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", None)


def apply(trail, signer):
    change(trail, "PRAGMA user_version = 99")
