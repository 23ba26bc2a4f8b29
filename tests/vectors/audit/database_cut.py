"""log.db has lost its newest ten entries; the files have them."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", 290)


def apply(trail, signer):
    change(trail, "DELETE FROM entry WHERE seq >= 290")
