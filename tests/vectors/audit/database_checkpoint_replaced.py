"""The newest checkpoint in log.db is one the log signed for another size."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", None)


def apply(trail, signer):
    change(
        trail,
        "UPDATE checkpoint SET note = (SELECT note FROM checkpoint ORDER BY size LIMIT 1) WHERE size = 300",
    )
