"""log.db has an entry more that no checkpoint signs."""

from _database import change

SEEN_WITH = "database"
FINDS = ("database", 300)


def apply(trail, signer):
    change(
        trail,
        "INSERT INTO entry SELECT seq + 1, 'x' || id, leaf, leaf_sha256, ts, type, phase, corr, actor, service, "
        "project, outcome FROM entry WHERE seq = 299",
    )
