"""Logging in and changing a password, on a real house and a real log."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from enclave.accounts import login, password
from enclave.accounts.store import AccountStore
from enclave.accounts.words import Seen
from enclave.errors import ComponentDown, EnclaveError, NotAuthenticated, NotFound, Refused
from enclave.house import open_house
from enclave.house_table import reading
from enclave.people import Person, Role
from enclave.recording import Actor, EventObject
from tests.unit.journeys.recorder_for_tests import RecorderForTests

RIGHT, WRONG, OTHER = "quatre mots bien longs", "quatre mots bien courts", "cinq autres mots bien longs"
OPERATOR = Actor("operator-a", "person", "operator")


class Door:
    def __init__(self, folder: Path) -> None:
        (folder / "trail").mkdir(mode=0o700)
        self.engine = open_house(folder / "house.db")
        self.accounts = AccountStore(self.engine)
        self.recorder = RecorderForTests(folder / "trail")
        self.at = datetime(2026, 11, 25, 10, tzinfo=UTC)

    def tools(self) -> dict:
        return {"accounts": self.accounts, "recorder": self.recorder, "now": lambda: self.at}

    def receipt(self, act: str, person: str = "researcher-a"):
        return self.recorder.single(act, actor=OPERATOR, objects=[EventObject("person", person)])

    def log_in(self, name: str = "researcher-a", secret: str = RIGHT) -> Person:
        return login.log_in(name, secret, **self.tools())

    def reason(self, name: str = "researcher-a", secret: str = RIGHT) -> str | None:
        """Give why a login was refused, as only the trail tells."""
        with pytest.raises(NotAuthenticated) as refusal:
            self.log_in(name, secret)
        assert refusal.value.code == "login_refused"
        return self.recorder.events[-1]["reason"]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # The format carries the parameters, so that a cheaper hash is the same code path, sooner.
    monkeypatch.setattr(password, "MEMORY_KIB", 64)
    monkeypatch.setattr(password, "_NOBODY", password.hashed(b"nobody"))
    made = Door(tmp_path)
    made.accounts.put_person("researcher-a", made.receipt("admin.person"), title="Researcher A")
    made.accounts.set_roles("researcher-a", frozenset({Role.RESEARCHER}), made.receipt("admin.role"))
    login.set_password("researcher-a", RIGHT, by=OPERATOR, **made.tools())
    yield made
    made.engine.dispose()
    made.recorder.close()


def test_the_right_password_gives_the_person_with_their_roles(door: Door):
    assert door.log_in() == Person("researcher-a", frozenset({Role.RESEARCHER}))
    assert door.recorder.told("auth.login") == [("auth.login", "success", None)]


def test_a_refusal_is_the_same_for_everybody_and_the_trail_knows_why(door: Door):
    assert door.reason(secret=WRONG) == "wrong_password"
    assert door.reason(name="nobody-we-know") == "unknown_person"
    door.accounts.put_person("researcher-a", door.receipt("admin.person"), active=False)
    assert door.reason() == "person_inactive"


def test_what_was_typed_as_an_unknown_name_is_not_written_anywhere(door: Door):
    door.reason(name=OTHER)
    assert OTHER not in str(door.recorder.events)
    assert door.recorder.events[-1]["actor"]["id"] == "unknown"
    with reading(door.engine) as session:
        assert session.connection().execute(text("SELECT count(*) FROM login_failures")).scalar_one() == 0


def test_an_unknown_person_costs_the_same_work_as_a_known_one(door: Door, monkeypatch: pytest.MonkeyPatch):
    verified: list[str] = []
    real = password.Argon2id.verify_phc_encoded

    class Counted:
        @staticmethod
        def verify_phc_encoded(secret: bytes, phc: str) -> None:
            verified.append(phc.rsplit("$", 2)[0])
            real(secret, phc)

    monkeypatch.setattr(password, "Argon2id", Counted)
    door.reason(name="nobody-we-know")
    door.reason(secret=WRONG)
    assert len(verified) == 2
    assert verified[0] == verified[1]


def test_a_try_for_nobody_costs_what_a_try_for_somebody_costs():
    costs = f"m={password.MEMORY_KIB},t={password.ITERATIONS},p={password.LANES}"
    assert f"${costs}$" in password._NOBODY
    assert password.hashed(b"x" * 16).split("$")[:4] == password._NOBODY.split("$")[:4]


def test_nobodys_password_opens_nothing(door: Door):
    assert not password.matches(b"nobody", None)


def test_after_five_failures_even_the_right_password_waits_and_then_opens(door: Door):
    assert [door.reason(secret=WRONG) for _ in range(5)] == ["wrong_password"] * 5
    assert door.reason() == "waiting"
    door.at += timedelta(seconds=29)
    assert door.reason() == "waiting"
    door.at += timedelta(seconds=1)
    assert door.log_in().id == "researcher-a"
    assert door.accounts.failures("researcher-a").count == 0


def test_trying_during_the_wait_does_not_keep_the_owner_out_longer(door: Door):
    for _ in range(5):
        door.reason(secret=WRONG)
    for _ in range(20):
        assert door.reason(secret=WRONG) == "waiting"
    assert door.accounts.failures("researcher-a").count == 5


def test_without_the_recorder_nobody_comes_in(door: Door):
    door.recorder.down = True
    with pytest.raises(ComponentDown):
        door.log_in()


def test_a_person_changes_their_password_with_the_current_one(door: Door):
    someone = door.log_in()
    with pytest.raises(NotAuthenticated):
        login.change_password(someone, WRONG, OTHER, **door.tools())
    login.change_password(someone, RIGHT, OTHER, **door.tools())
    assert door.reason() == "wrong_password"
    assert door.log_in(secret=OTHER) == someone
    assert door.recorder.told("admin.password")[-1] == ("admin.password", "success", None)


@pytest.mark.parametrize(
    ("person", "secret", "code"),
    [("researcher-a", "short", "password_short"), ("unknown-a", OTHER, "no_such_person")],
)
def test_a_weak_password_or_an_unknown_person_changes_nothing(
    door: Door, person: str, secret: str, code: str
):
    with pytest.raises(EnclaveError) as refusal:
        login.set_password(person, secret, by=OPERATOR, **door.tools())
    assert refusal.value.code == code
    assert door.log_in().id == "researcher-a"


def test_a_role_taken_away_is_gone_at_the_next_reading(door: Door):
    door.accounts.set_roles("researcher-a", frozenset(), door.receipt("admin.role"))
    assert door.accounts.person("researcher-a").roles == frozenset()


def test_an_account_tells_when_its_password_was_set_and_never_what_it_is(door: Door):
    account = door.accounts.account("researcher-a")
    assert account.password_set == door.at
    assert account.title == "Researcher A"
    assert "argon2" not in repr(account)
    assert door.accounts.phc("researcher-a").startswith("$argon2id$v=19$")
    assert door.accounts.phc("nobody-we-know") is None


def test_a_person_without_a_password_cannot_come_in(door: Door):
    door.accounts.put_person("steward-a", door.receipt("admin.person", "steward-a"))
    assert door.accounts.account("steward-a").password_set is None
    assert door.reason(name="steward-a", secret=RIGHT) == "wrong_password"


@pytest.mark.parametrize(
    "write",
    [
        lambda store, shown: store.put_person("researcher-a", shown),
        lambda store, shown: store.set_roles("researcher-a", frozenset(), shown),
        lambda store, shown: store.set_password("researcher-a", "x", datetime.now(UTC), shown),
        lambda store, shown: store.add_failure("researcher-a", datetime.now(UTC), shown),
        lambda store, shown: store.clear_failures("researcher-a", shown),
    ],
)
def test_every_write_asks_for_its_own_receipt(door: Door, write: str):
    for act, person in (("admin.partner", "researcher-a"), ("admin.person", "researcher-b")):
        with pytest.raises(Refused) as refusal:
            write(door.accounts, door.receipt(act, person))
        assert refusal.value.code == "receipt_mismatch"


def test_an_unknown_person_is_not_found(door: Door):
    with pytest.raises(NotFound):
        door.accounts.person("nobody-we-know")


def test_passwords_are_hashed_as_rfc_9106_recommends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert "$m=65536,t=3,p=4$" in password.hashed(b"secret")


def test_from_where_somebody_came_is_kept_sealed_and_never_in_the_leaf(door: Door):
    seen = Seen("192.0.2.17", "Mozilla/5.0 (X11) " * 40)
    login.log_in("researcher-a", RIGHT, **door.tools(), seen=seen)
    with pytest.raises(NotAuthenticated):
        login.log_in("researcher-a", WRONG, **door.tools(), seen=seen)
    with pytest.raises(NotAuthenticated):
        login.log_in(OTHER, WRONG, **door.tools(), seen=Seen("192.0.2.18"))
    log = door.recorder.log
    held = {log.details.read(seq).detail.person: log.details.read(seq) for seq, _ in log.details.held()}
    assert set(held) == {"researcher-a", "unknown"}
    assert held["researcher-a"].detail.words == {"client": seen.client, "browser": seen.browser[:256]}
    leaves = b"".join(leaf for leaf, _ in log.store.leaves(0, log.head.size))
    assert b"192.0.2" not in leaves
    assert b"Mozilla" not in leaves


def test_a_login_nobody_saw_from_outside_keeps_no_detail(door: Door):
    door.log_in()
    assert door.recorder.log.details.held() == []
