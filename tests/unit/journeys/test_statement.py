"""What the house says of its own books, from real ones, and what a trail says of that."""

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from sqlalchemy import create_engine
from starlette.testclient import TestClient

from anonymisation.ledger import Charge
from audit.event import new_id
from audit.statement import Record
from audit.verify import verify
from enclave.engine import application
from enclave.errors import ComponentDown, Refused
from enclave.journeys import release, scrutiny
from enclave.journeys.ledger_guard import LedgerGuard
from enclave.journeys.release import Offered
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Person, Role
from enclave.recorder_client import Receipt
from enclave.recording import Actor, EventObject, Visitor
from enclave.sessions import Holder, session_of
from tests.unit.journeys.conftest import World
from tests.unit.journeys.engine_for_tests import Engine, engine, question

AUDITOR = Visitor(Person("auditor-a", frozenset({Role.AUDITOR})))
TABLE = Offered("table.csv", b"age,n\n30,120\n")


class InProcess:
    """The engine's own HTTP face, without a socket."""

    def __init__(self, house: Engine) -> None:
        guard = LedgerGuard(house.recorder, house.desk.ledger, house.desk.root)
        self._http = TestClient(application(house.desk, guard))
        self.down = False

    def call(self, method: str, path: str) -> dict:
        if self.down:
            raise ComponentDown("engine_down", "The engine does not answer.")
        return self._http.request(method, path).json()


class Keys:
    """The one public key that packages are checked with."""

    def __init__(self, world: World) -> None:
        self._key = world.desk.packager.public_key

    def public_key(self, _name: str) -> bytes:
        return self._key


def hub_database(path: Path, *running: Holder) -> None:
    """Write what JupyterHub keeps of its servers, as far as it is read."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as hub:
        hub.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        hub.execute("CREATE TABLE spawners (user_id INTEGER, server_id INTEGER, name TEXT, started TEXT)")
        for number, holder in enumerate(running):
            hub.execute("INSERT INTO users VALUES (?, ?)", (number, holder.person))
            hub.execute(
                "INSERT INTO spawners VALUES (?, 1, ?, '2026-11-25 10:00:00')", (number, holder.project)
            )
        hub.execute("INSERT INTO spawners VALUES (0, NULL, 'stopped', NULL)")


@pytest.fixture
def books(world: World, tmp_path: Path) -> BooksOfTheHouse:
    house = world.desk.requests._engine
    hub_database(tmp_path / "hub.sqlite")
    engine = SimpleNamespace(call=lambda _method, _path: {"records": []})
    (tmp_path / "shelves").mkdir()
    return BooksOfTheHouse(
        world.recorder,
        engine,
        house,
        lambda: (world.desk.folder, Keys(world)),
        tmp_path / "shelves",
        tmp_path / "hub.sqlite",
    )


def anomalies(books: BooksOfTheHouse, auditor: Visitor = AUDITOR) -> list[tuple[str, str]]:
    report = scrutiny.verify_now(books.recorder, auditor, books.recorder.directory, scrutiny.Trusted(), books)
    assert report.integrity
    return [(each.code, each.about) for each in report.anomalies]


def released(world: World) -> str:
    author = world.visitor("researcher-a", Role.RESEARCHER)
    request = release.create(world.desk, author, "asthma", "Table 1", "An article", [TABLE])
    release.submit(world.desk, author, request.id)
    release.check(world.desk, request.id)
    for name in ("steward-a", "steward-b"):
        steward = world.visitor(name, Role.STEWARD)
        release.vote(world.desk, steward, request.id, request.files[0].sha256, release.Choice.APPROVE)
    release.package(world.desk, steward, request.id)
    return request.id


def test_the_life_of_a_release_agrees_with_the_trail_line_by_line(
    world: World, books: BooksOfTheHouse
) -> None:
    request = released(world)
    taken = release.download(world.desk, world.visitor("researcher-a", Role.RESEARCHER), request)
    assert taken
    assert anomalies(books) == []
    statement = scrutiny.state_books(AUDITOR, books)
    assert statement.heading.unread == ()
    (package,) = (one for one in statement.records if one.kind == "package")
    assert (
        package.sha256
        == scrutiny.events_of_release(books.recorder, AUDITOR, request)[0]["release"]["artefact_sha256"]
    )
    assert {one.id.partition(":")[0] for one in statement.records if one.kind == "line"} >= {
        "release_move",
        "release_review",
        "agreement",
    }


def test_a_package_swapped_on_the_disk_is_told(world: World, books: BooksOfTheHouse) -> None:
    one, two = released(world), released(world)
    shutil.copy(world.folder / two / "package.sealed", world.folder / one / "package.sealed")
    assert anomalies(books) == [("other_bytes", one)]  # sealed for another request: it opens for nobody
    again = world.desk.folder._seal(b"no package", f"{one}/package")
    (world.folder / one / "package.sealed").write_bytes(again)
    assert anomalies(books) == [("other_bytes", one)]  # by somebody who holds the key
    (world.folder / one / "package.sealed").unlink()
    assert anomalies(books) == [("in_trail_not_in_releases", one)]


def test_a_package_from_nowhere_is_told(world: World, books: BooksOfTheHouse) -> None:
    one = released(world)
    shutil.copytree(world.folder / one, world.folder / "elsewhere")
    assert anomalies(books) == [("in_releases_not_in_trail", "elsewhere")]


def test_the_house_s_book_put_back_under_an_intact_trail_is_told(
    world: World, books: BooksOfTheHouse
) -> None:
    with books.house.begin() as book:
        book.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    request = released(world)
    with books.house.begin() as book:  # as a backup from before would be
        for table in ("release_move", "release_review", "release_file_vote", "release_file"):
            book.exec_driver_sql(f"DROP TRIGGER {table}_no_delete")
            book.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - the names above
    found = anomalies(books)
    assert {code for code, _ in found} == {"in_trail_not_in_house"}
    assert len(found) >= 5
    assert request


def test_a_session_nobody_recorded_is_told(world: World, books: BooksOfTheHouse) -> None:
    holder = Holder("researcher-a", "asthma")
    hub_database(books.hub, holder)
    assert anomalies(books) == [("in_hub_not_in_trail", session_of(holder))]
    session = session_of(holder)
    told = world.recorder.intent(
        "session.spawn",
        actor=Actor(holder.person, "person", "researcher", session),
        objects=[EventObject("session", session)],
    )
    world.recorder.outcome(told, "success")
    assert anomalies(books) == []


def test_a_book_that_cannot_be_read_is_named(world: World, books: BooksOfTheHouse) -> None:
    books.hub.write_bytes(b"not a database")

    def down(_method: str, _path: str) -> dict:
        raise ComponentDown("engine_down", "The engine does not answer.")

    books.engine.call = down
    report = scrutiny.verify_now(world.recorder, AUDITOR, world.recorder.directory, scrutiny.Trusted(), books)
    assert (report.books.unread, report.step("reconciled").verdict) == (("ledger", "hub"), "not done")
    assert report.completeness


def test_a_publisher_whose_keys_are_away_is_no_reason_not_to_verify(
    world: World, books: BooksOfTheHouse
) -> None:
    def locked() -> tuple:
        raise ComponentDown("keyring_locked", "The keyring is locked.")

    released(world)
    report = scrutiny.verify_now(
        world.recorder,
        AUDITOR,
        world.recorder.directory,
        scrutiny.Trusted(),
        replace(books, publisher=locked),
    )
    assert (report.books.unread, report.integrity, report.completeness) == (("releases",), True, True)


def test_only_an_auditor_compares_and_each_comparison_is_in_the_trail(
    world: World, books: BooksOfTheHouse
) -> None:
    with pytest.raises(Refused):
        anomalies(books, Visitor(Person("steward-a", frozenset({Role.STEWARD}))))
    anomalies(books)
    scrutiny.state_books(AUDITOR, books)
    assert len(world.recorder.told("audit.verify", "audit.export")) == 2
    with pytest.raises(Refused):
        world.desk.folder.look_at_package(
            "x", lambda _: None, world.recorder.single("audit.search", actor=Actor("a", "person", "auditor"))
        )


# --- the ledger and the shelves, with the engine's own tools


@pytest.fixture
def house(tmp_path: Path) -> Engine:
    return engine(tmp_path)


def compared(house: Engine, tmp_path: Path) -> list[tuple[str, str]]:
    hub_database(tmp_path / "hub.sqlite")
    books = BooksOfTheHouse(
        house.recorder,
        InProcess(house),
        create_engine("sqlite://"),  # no house's book: it is named as not read
        lambda: (SimpleNamespace(requests=list), SimpleNamespace(public_key=lambda _: b"")),
        house.desk.root,
        tmp_path / "hub.sqlite",
    )
    receipt = house.recorder.single("audit.verify", actor=Actor("auditor-a", "person", "auditor"))
    statement = books.statement(receipt)
    assert "house" in statement.heading.unread
    report = verify(house.recorder.directory, against=statement)
    return [(each.code, each.about) for each in report.anomalies]


def test_a_ledger_rolled_back_under_an_intact_trail_is_told(house: Engine, tmp_path: Path) -> None:
    house.desk.ask(house.order(question(1_000)))
    house.desk.ask(house.order(question(1_000)))
    house.desk.ledger.close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "backup")
    house.desk.ask(house.order(question(2_000)))
    assert [one for one in compared(house, tmp_path) if "ledger" in one[0]] == []
    house.desk.ledger.close()
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    shutil.copy(tmp_path / "backup", tmp_path / "ledger.db")
    assert [one for one in compared(house, tmp_path) if "ledger" in one[0]] == [
        ("in_trail_not_in_ledger", "charge"),
        ("in_trail_not_in_ledger", "answer"),
    ]


def charge_of_another_trail() -> tuple[Charge, Receipt]:
    event, asked = new_id(), "ab" * 32
    charge = Charge("patients", "cardio", "researcher-a", asked, "stays", 1, 10, event)
    objects = frozenset({"dataset:stays", f"question:{asked}"})
    actor = Actor("researcher-a", "person", "researcher")
    return charge, Receipt(999, event, b"x", "data.query", objects, new_id(), actor, ())


def test_a_trail_cut_under_a_ledger_is_told_by_the_ledger(house: Engine, tmp_path: Path) -> None:
    house.desk.ledger.reenter(*charge_of_another_trail())
    assert "in_ledger_not_in_trail" in dict(compared(house, tmp_path))


def test_no_charge_is_named_by_what_looks_like_a_number_of_a_person(house: Engine, tmp_path: Path) -> None:
    """A UUID's groups have at most twelve digits, an identity number thirteen; run together they could have more."""
    house.desk.ask(house.order(question(1_000)))
    (made,) = house.desk.ledger.history("cardio")
    assert str(UUID(made.reservation.id)) == made.reservation.id
    assert Record(kind="charge", id="54928720-3571-4413-8345-123456789012").source == "ledger"
