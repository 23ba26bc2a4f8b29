import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from anonymisation import ledger_file
from anonymisation.errors import (
    AnonymisationError,
    BadQuestion,
    BudgetSpent,
    Damaged,
    LedgerDown,
    ReceiptMismatch,
)
from anonymisation.ledger import Charge, Ledger, Reservation
from tests.unit.anonymisation.question_tables import Proof, caps, charge, paid

SEALED = b"sealed answer"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.db")
    opened.set_cap("population", "patients", 1_000, caps())
    opened.set_cap("project", "patients/asthma", 800, caps("project:asthma"))
    yield opened
    opened.close()


def pay(ledger: Ledger, of: Charge) -> Reservation:
    return ledger.reserve(of, paid(of))


def answer(ledger: Ledger, of: Charge, sealed: bytes = SEALED) -> None:
    ledger.release(pay(ledger, of).id, sealed, paid(of))


def left(ledger: Ledger) -> dict[str, int | None]:
    return ledger.left("patients", "asthma", "researcher-a").to_json()


def test_a_new_ledger_is_private(tmp_path: Path, ledger: Ledger) -> None:
    pay(ledger, charge())
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}


def test_commits_are_durable_and_readers_do_not_wait(tmp_path: Path, ledger: Ledger) -> None:
    with ledger_file.reading(ledger._engine) as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_charge_is_taken_from_every_cap_at_once(ledger: Ledger) -> None:
    ledger.set_cap("person", "patients/researcher-a", 300, caps("person:researcher-a"))
    pay(ledger, charge())
    assert left(ledger) == {"population": 900, "project": 700, "person": 200}


def test_a_person_without_a_cap_is_held_by_the_projects(ledger: Ledger) -> None:
    pay(ledger, charge())
    assert left(ledger)["person"] is None


@pytest.mark.parametrize(
    ("scope", "key", "objects"),
    [
        ("population", "patients", ()),
        ("project", "patients/asthma", ("project:asthma",)),
        ("person", "patients/researcher-a", ("person:researcher-a",)),
    ],
)
def test_a_question_may_spend_a_cap_to_the_last_micro_rho_and_not_one_more(
    ledger: Ledger, scope: Any, key: str, objects: tuple[str, ...]
) -> None:
    ledger.set_cap(scope, key, 250, caps(*objects))
    pay(ledger, charge("e1", 249))
    with pytest.raises(BudgetSpent) as caught:
        pay(ledger, charge("e2", 2))
    assert caught.value.params == {"scope": scope, "rho_micro": 2, "left": 1}
    pay(ledger, charge("e3", 1))
    assert left(ledger)[scope] == 0


def test_other_projects_and_persons_draw_on_the_same_population(ledger: Ledger) -> None:
    ledger.set_cap("project", "patients/stroke", 5_000, caps("project:stroke"))
    pay(ledger, charge("e1", 700))
    with pytest.raises(BudgetSpent) as caught:
        pay(ledger, charge("e2", 301, project="stroke", person="researcher-b"))
    assert caught.value.params["scope"] == "population"


def test_another_population_has_caps_of_its_own(ledger: Ledger) -> None:
    pay(ledger, charge("e1", 700))
    ledger.set_cap("population", "births", 500, Proof("dp.caps", frozenset({"population:births"})))
    ledger.set_cap(
        "project", "births/asthma", 500, Proof("dp.caps", frozenset({"population:births", "project:asthma"}))
    )
    pay(ledger, charge("e2", 500, population="births"))
    assert left(ledger)["population"] == 300


@pytest.mark.parametrize(
    ("fields", "scope"), [({"population": "births"}, "population"), ({"project": "stroke"}, "project")]
)
def test_nothing_can_be_spent_where_no_cap_was_set(
    ledger: Ledger, fields: dict[str, Any], scope: str
) -> None:
    with pytest.raises(BudgetSpent) as caught:
        pay(ledger, charge(**fields))
    assert (caught.value.code, caught.value.params) == ("no_cap", {"scope": scope})


def test_the_newest_cap_holds_and_one_below_what_is_spent_leaves_nothing(ledger: Ledger) -> None:
    pay(ledger, charge("e1", 600))
    ledger.set_cap("population", "patients", 500, caps())
    assert left(ledger)["population"] == 0
    with pytest.raises(BudgetSpent):
        pay(ledger, charge("e2", 1))
    ledger.set_cap("population", "patients", 601, caps())
    pay(ledger, charge("e3", 1))


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        ("population", ""),
        ("population", "a/b"),
        ("project", "a"),
        ("project", "a/"),
        ("project", "/b"),
        ("person", "a/b/c"),
        ("planet", "a/b"),
    ],
)
def test_a_cap_key_has_one_form(ledger: Ledger, scope: Any, key: str) -> None:
    with pytest.raises(BadQuestion) as caught:
        ledger.set_cap(scope, key, 5, caps())
    assert caught.value.code == "cap_key"


def test_a_cap_is_not_negative(ledger: Ledger) -> None:
    with pytest.raises(BadQuestion):
        ledger.set_cap("population", "patients", -1, caps())
    ledger.set_cap("population", "patients", 0, caps())
    assert left(ledger)["population"] == 0


def test_an_answer_that_was_paid_for_is_free_in_its_project_only(ledger: Ledger) -> None:
    of = charge()
    answer(ledger, of)
    key = (of.question_sha256, of.dataset, of.version)
    assert ledger.replay("asthma", *key) == SEALED
    assert ledger.replay("stroke", *key) is None
    assert ledger.replay("asthma", "cd" * 32, of.dataset, of.version) is None
    assert ledger.replay("asthma", of.question_sha256, "visits", of.version) is None
    assert ledger.replay("asthma", of.question_sha256, of.dataset, of.version + 1) is None
    assert left(ledger)["population"] == 900


def test_the_first_paid_answer_is_the_one_replayed(ledger: Ledger) -> None:
    answer(ledger, charge("e1"), b"first")
    answer(ledger, charge("e2"), b"second")
    assert ledger.replay("asthma", charge().question_sha256, "stays", 3) == b"first"


def test_a_reservation_without_an_answer_counts_as_spent_and_stays_open(
    tmp_path: Path, ledger: Ledger
) -> None:
    answer(ledger, charge("e1"))
    crashed = pay(ledger, charge("e2", 50))
    ledger.close()
    again = Ledger.open(tmp_path / "ledger.db")
    assert again.open_reservations() == [crashed]
    assert left(again)["population"] == 850
    again.close()


def test_the_history_of_a_project_is_in_order(ledger: Ledger) -> None:
    answer(ledger, charge("e1", 10))
    pay(ledger, charge("e2", 20))
    ledger.set_cap("project", "patients/stroke", 100, caps("project:stroke"))
    pay(ledger, charge("e3", 30, project="stroke"))
    history = ledger.history("asthma")
    assert [(line.reservation.charge.rho_micro, line.released is not None) for line in history] == [
        (10, True),
        (20, False),
    ]
    assert history[0].reserved <= (history[0].released or "")


@pytest.mark.parametrize(
    "wrong",
    [
        Proof("dp.caps", paid(charge()).objects),
        Proof("data.query", frozenset({"dataset:stays"})),
        Proof("data.query", frozenset({f"question:{charge().question_sha256}"})),
        Proof("data.query", paid(charge()).objects, event_id="other"),
    ],
)
def test_a_charge_needs_its_own_receipt(ledger: Ledger, wrong: Proof) -> None:
    with pytest.raises(ReceiptMismatch):
        ledger.reserve(charge(), wrong)
    reservation = pay(ledger, charge())
    with pytest.raises(ReceiptMismatch):
        ledger.release(reservation.id, SEALED, wrong)
    assert ledger.open_reservations() == [reservation]


def test_a_receipt_pays_once(ledger: Ledger) -> None:
    pay(ledger, charge())
    with pytest.raises(ReceiptMismatch):
        pay(ledger, charge(rho_micro=1))
    assert left(ledger)["population"] == 900


@pytest.mark.parametrize(
    "wrong",
    [
        Proof("data.query", caps().objects),
        Proof("dp.caps", frozenset()),
        Proof("dp.caps", frozenset({"population:births"})),
    ],
)
def test_a_cap_needs_its_own_receipt(ledger: Ledger, wrong: Proof) -> None:
    with pytest.raises(ReceiptMismatch):
        ledger.set_cap("population", "patients", 10**9, wrong)
    assert left(ledger)["population"] == 1_000


def test_a_receipt_for_one_persons_cap_does_not_set_anothers(ledger: Ledger) -> None:
    with pytest.raises(ReceiptMismatch):
        ledger.set_cap("person", "patients/researcher-b", 10**9, caps("person:researcher-a"))


def test_a_charge_is_at_least_one_micro_rho(ledger: Ledger) -> None:
    for rho_micro in (0, -5):
        with pytest.raises(BadQuestion):
            pay(ledger, charge(rho_micro=rho_micro))


def test_an_answer_is_stored_once_and_only_for_a_reservation(ledger: Ledger) -> None:
    of = charge()
    reservation = pay(ledger, of)
    ledger.release(reservation.id, SEALED, paid(of))
    with pytest.raises(AnonymisationError) as caught:
        ledger.release(reservation.id, b"another", paid(of))
    assert caught.value.code == "already_released"
    with pytest.raises(AnonymisationError) as caught:
        ledger.release("nothing", SEALED, paid(of))
    assert caught.value.code == "reservation_unknown"


@pytest.mark.parametrize("table", ["ledger_schema", "cap", "reservation", '"release"'])
def test_the_database_refuses_to_change_or_delete_a_row(tmp_path: Path, ledger: Ledger, table: str) -> None:
    answer(ledger, charge())
    connection = sqlite3.connect(tmp_path / "ledger.db")
    column = "version" if table == "ledger_schema" else "receipt_index" if table != "cap" else "rho_micro"
    for statement in (f"UPDATE {table} SET {column} = 0", f"DELETE FROM {table}"):  # noqa: S608 - names of this file
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_changed_answer_is_found(tmp_path: Path, ledger: Ledger) -> None:
    answer(ledger, charge())
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("DROP TRIGGER release_update")
    connection.execute('UPDATE "release" SET sealed = ?', (b"forged",))
    connection.commit()
    connection.close()
    with pytest.raises(Damaged) as caught:
        ledger.replay("asthma", charge().question_sha256, "stays", 3)
    assert caught.value.code == "ledger_damaged"


def test_an_answer_without_its_reservation_cannot_be_written(ledger: Ledger) -> None:
    with pytest.raises(Damaged), ledger_file.writing(ledger._engine) as connection:
        connection.execute(text("INSERT INTO \"release\" VALUES ('none', x'00', '', '', 1, '', x'00')"))


def test_another_schema_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    ledger.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("INSERT INTO ledger_schema VALUES (99)")
    connection.commit()
    connection.close()
    with pytest.raises(Damaged) as caught:
        Ledger.open(tmp_path / "ledger.db")
    assert caught.value.code == "ledger_schema"


def test_another_database_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE people (id)")
    connection.commit()
    connection.close()
    with pytest.raises(Damaged) as caught:
        Ledger.open(tmp_path / "other.db")
    assert caught.value.code == "ledger_schema"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 500)
    with pytest.raises(Damaged) as caught:
        Ledger.open(tmp_path / "ledger.db")
    assert caught.value.code == "ledger_damaged"


def test_a_ledger_that_cannot_be_opened_is_down(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "ledger.db").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "no" / "ledger.db", tmp_path / "ledger.db"):
        with pytest.raises(LedgerDown) as caught:
            Ledger.open(path)
        assert caught.value.kind == "down"


def test_a_ledger_locked_by_another_refuses_and_charges_nothing(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "BUSY_SECONDS", 0.02)
    impatient = Ledger.open(tmp_path / "ledger.db")
    holder = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerDown) as caught:
        pay(impatient, charge())
    assert caught.value.code == "ledger_down"
    holder.execute("ROLLBACK")
    holder.close()
    impatient.close()
    assert left(ledger)["population"] == 1_000


def test_a_refused_charge_leaves_the_ledger_usable(ledger: Ledger) -> None:
    with pytest.raises(BudgetSpent):
        pay(ledger, charge("e1", 801))
    pay(ledger, charge("e2", 800))


def test_a_ledger_that_fails_in_the_middle_is_down(tmp_path: Path, ledger: Ledger) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("DROP TABLE reservation")
    connection.close()
    with pytest.raises(LedgerDown):
        pay(ledger, charge())


def test_an_error_other_than_a_lock_is_not_waited_for(ledger: Ledger) -> None:
    with pytest.raises(LedgerDown), ledger_file.writing(ledger._engine) as connection:
        ledger_file._locked(connection)


def test_a_population_shows_every_projects_charges_and_every_cap_ever_set(ledger: Ledger) -> None:
    ledger.set_cap("project", "patients/asthma", 700, caps("project:asthma"))
    ledger.set_cap("project", "patients/heart", 100, caps("project:heart"))
    pay(ledger, charge("e1", 20))
    pay(ledger, charge("e2", 30, project="heart", person="researcher-b"))
    told = [
        (one.reservation.charge.project, one.reservation.charge.rho_micro)
        for one in ledger.charges("patients")
    ]
    assert told == [("asthma", 20), ("heart", 30)]
    assert [(one.scope, one.own, one.rho_micro) for one in ledger.caps("patients")] == [
        ("population", "", 1_000),
        ("project", "asthma", 800),
        ("project", "asthma", 700),
        ("project", "heart", 100),
    ]
    assert ledger.charges("others") == ledger.caps("others") == []
