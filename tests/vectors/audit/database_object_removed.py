"""A search for a dataset would not show entry 33: the row that links them is gone."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", 33)


def apply(trail, signer):
    change(trail, "DELETE FROM entry_object WHERE seq = 33")
