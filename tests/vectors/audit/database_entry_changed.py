"""Entry 33 of log.db is another one; the files are what was signed."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", 33)


def apply(trail, signer):
    change(
        trail,
        "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'project-a', 'project-b') AS BLOB) WHERE seq = 33",
    )
