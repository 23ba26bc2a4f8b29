"""Which copies of the keys exist outside the house: what was shredded is gone when the last of them is."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine
from sqlmodel import col

from enclave.errors import NotFound, Refused
from enclave.house_table import Line, newest, reading, writing
from enclave.receipt import Receipt, require


class KeyBackupLine(Line, table=True):
    __tablename__ = "key_backup"
    id: str
    made_index: int  # of the trail: what was shredded before is not in this copy
    expires_on: date | None
    destroyed: bool


@dataclass(frozen=True)
class KeyBackup:
    """A copy of the keys: a keyring file elsewhere, or a snapshot of the key service."""

    id: str
    made_index: int
    expires_on: date | None = None
    destroyed: bool = False

    def opens(self, shredded_index: int, today: date) -> bool:
        """Tell whether this copy still opens what was shredded at an index of the trail."""
        gone = self.destroyed or (self.expires_on is not None and self.expires_on < today)
        return not gone and self.made_index < shredded_index


class KeyBackups:
    """The list of copies; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[KeyBackup, ...]:
        """Every copy ever noted, destroyed ones too."""
        with reading(self._engine) as session:
            return tuple(_backup(line) for line in newest(session, KeyBackupLine, KeyBackupLine.id))

    def note(self, name: str, expires_on: date | None, receipt: Receipt) -> None:
        """Note a copy. Raises `Refused("backup_known")` for a name that was used before."""
        require(receipt, "key.create", f"backup:{name}")
        with writing(self._engine) as session:
            if newest(session, KeyBackupLine, KeyBackupLine.id, where=[col(KeyBackupLine.id) == name]):
                raise Refused(
                    "backup_known",
                    f"There is a backup named {name} already.",
                    "Choose another name.",
                    id=name,
                )
            session.add(_line(KeyBackup(name, receipt.index, expires_on), receipt))

    def destroy(self, name: str, receipt: Receipt) -> None:
        """Note that a copy was destroyed. Raises `NotFound`."""
        require(receipt, "data.shred", f"backup:{name}")
        with writing(self._engine) as session:
            found = newest(session, KeyBackupLine, KeyBackupLine.id, where=[col(KeyBackupLine.id) == name])
            if not found:
                raise NotFound(
                    "no_such_backup",
                    f"There is no backup named {name}.",
                    "See `enclave key backups`.",
                    id=name,
                )
            one = _backup(found[0])
            session.add(_line(KeyBackup(one.id, one.made_index, one.expires_on, destroyed=True), receipt))


def _line(backup: KeyBackup, receipt: Receipt) -> KeyBackupLine:
    return KeyBackupLine(event_id=receipt.event_id, event_index=receipt.index, **vars(backup))


def _backup(line: KeyBackupLine) -> KeyBackup:
    return KeyBackup(line.id, line.made_index, line.expires_on, line.destroyed)
