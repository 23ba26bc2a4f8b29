"""The newest checkpoint in log.db is not a signed note."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", None)


def apply(trail, signer):
    change(trail, "UPDATE checkpoint SET note = 'nothing' WHERE size = 300")
