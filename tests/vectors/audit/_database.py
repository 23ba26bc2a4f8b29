"""What somebody with write access can do to log.db: the triggers that refuse changes are his to drop."""

import sqlite3
from pathlib import Path


def change(trail: Path, statement: str) -> None:
    with sqlite3.connect(trail / "log.db") as db:
        triggers = db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
    db.close()
