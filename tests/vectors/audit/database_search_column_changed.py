"""A search for researcher-a would not show entry 33: the column it is found by was changed, the entry was not."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", 33)


def apply(trail, signer):
    change(trail, "UPDATE entry SET actor = 'researcher-b' WHERE seq = 33")
