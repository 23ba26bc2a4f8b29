"""The house's database: private, durable, of a known schema, and append-only where decisions are kept."""

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Partner
from enclave.errors import Damaged, Refused
from enclave.house import SCHEMA_VERSION, open_house
from enclave.house_table import HOUSE, reading, writing
from tests.unit.agreements.receipt_for_tests import receipt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "house.db"


def pragma(path: Path, name: str) -> object:
    engine = open_house(path)
    with reading(engine) as session:
        found = session.connection().execute(text(f"PRAGMA {name}")).scalar_one()
    engine.dispose()
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("user_version", SCHEMA_VERSION),
    ],
)
def test_the_database_is_opened_as_promised(path: Path, name: str, value: object):
    assert pragma(path, name) == value


def test_a_new_database_and_its_journal_are_readable_by_their_owner_only(path: Path):
    engine = open_house(path)
    AgreementStore(engine).put_partner(
        Partner("hospital-a", "A", "A"), receipt("admin.partner", "partner:hospital-a")
    )
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    engine.dispose()
    assert modes == {"house.db": 0o600, "house.db-wal": 0o600, "house.db-shm": 0o600}


def test_a_house_opened_again_holds_what_was_written(path: Path):
    engine = open_house(path)
    AgreementStore(engine).put_partner(
        Partner("hospital-a", "A", "A"), receipt("admin.partner", "partner:hospital-a")
    )
    engine.dispose()
    again = open_house(path)
    assert AgreementStore(again).partner("hospital-a") == Partner("hospital-a", "A", "A")
    again.dispose()


def test_a_database_others_can_read_is_refused(path: Path):
    open_house(path).dispose()
    path.chmod(0o640)
    with pytest.raises(Refused) as refusal:
        open_house(path)
    assert refusal.value.code == "house_open_to_others"


def test_a_link_is_not_followed(path: Path):
    path.symlink_to(path.parent / "elsewhere.db")
    with pytest.raises(OSError, match="symbolic"):
        open_house(path)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99])
def test_a_schema_of_another_version_is_refused_and_named(path: Path, version: int):
    open_house(path).dispose()
    with sqlite3.connect(path) as raw:
        raw.execute(f"PRAGMA user_version={version}")
    with pytest.raises(Refused) as refusal:
        open_house(path)
    assert refusal.value.code == "house_schema_unknown"
    assert refusal.value.params["found"] == version


def test_somebody_elses_database_is_not_taken_for_a_new_house(path: Path):
    path.touch(0o600)
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE other (x)")
    with pytest.raises(Refused) as refusal:
        open_house(path)
    assert refusal.value.code == "house_schema_unknown"


def test_a_file_that_is_no_database_is_damaged(path: Path):
    path.touch(0o600)
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(Damaged):
        open_house(path)


@pytest.mark.parametrize("change", ["UPDATE partner SET veto = 0", "DELETE FROM partner"])
def test_what_was_decided_is_neither_changed_nor_removed(path: Path, change: str):
    engine = open_house(path)
    AgreementStore(engine).put_partner(
        Partner("hospital-a", "A", "A", veto=True), receipt("admin.partner", "partner:hospital-a")
    )
    with pytest.raises(IntegrityError, match="append-only"), writing(engine) as session:
        session.connection().execute(text(change))
    assert AgreementStore(engine).partner("hospital-a").veto
    engine.dispose()


def test_every_table_of_decisions_is_append_only(path: Path):
    engine = open_house(path)
    with reading(engine) as session:
        triggers = set(
            session.connection()
            .execute(text("SELECT tbl_name FROM sqlite_schema WHERE type = 'trigger'"))
            .scalars()
        )
    engine.dispose()
    assert triggers == set(HOUSE.metadata.tables) - {"password", "login_failures"}


def test_a_write_that_fails_leaves_nothing(path: Path):
    engine = open_house(path)
    with pytest.raises(IntegrityError), writing(engine) as session:
        _write_twice(session)
    with reading(engine) as session:
        assert session.connection().execute(text("SELECT count(*) FROM password")).scalar_one() == 0
    engine.dispose()


def _write_twice(session: Session) -> None:
    for _ in range(2):
        session.connection().execute(text("INSERT INTO password VALUES ('a', 'b', 'c', 'd')"))
