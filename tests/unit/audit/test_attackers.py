"""Who can do what to a trail, and who sees it: each attacker against each thing a verifier may hold.

The table is the honest one: the cells in which an attack is not seen are asserted as well.
"""

import shutil
import sys
from pathlib import Path

import pytest

from audit.confirm import confirm
from audit.confirmations import Trusted
from audit.cosignature import cosign
from audit.event import new_id, utc_now
from audit.log import Log
from audit.statement import SOURCES, Heading, Record, Statement
from audit.timestamp import read_roots, stamp
from audit.verify import verify

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "audit"
sys.path.insert(0, str(VECTORS))
import _rewrite  # noqa: E402

sys.path.remove(str(VECTORS))
NOW = 1_790_000_000
ORIGIN = "enclave.example/trail"
HOLDS = (
    "nothing",
    "one witness",
    "two witnesses",
    "memory of a witness",
    "stamps",
    "a stamped checkpoint",
    "the house's books",
)


class World:
    """A confirmed trail, and whatever the people outside hold."""

    def __init__(self, trail, signer, one, two, tsa) -> None:
        self.trail, self.signer, self.one, self.two, self.tsa = trail, signer, one, two, tsa
        self.books: list[Record] = []
        self.stated = 301
        self.before = shutil.copytree(trail, trail.parent / "backup")

    def confirm(self):
        done = confirm(self.trail, [self.one.partner, self.two.partner], self.tsa.address)
        assert (len(done.witnesses), done.stamped, done.refusals) == (2, True, ())

    def seen_by(self, held):
        trusted, since, books = Trusted(), None, None
        if held == "one witness":
            trusted = Trusted((self.one.witness.key,))
        elif held == "two witnesses":
            trusted = Trusted((self.one.witness.key, self.two.witness.key))
        elif held == "memory of a witness":
            since = self.two.witness.seen_file(self.signer.name).read_text()
        elif held == "stamps":
            trusted = Trusted(stamp_roots=read_roots(self.tsa.root.read_bytes()))
        elif held == "a stamped checkpoint":
            since = self.kept
        elif held == "the house's books":
            heading = Heading(log=ORIGIN, at=utc_now(), before=self.stated, after=self.stated, read=SOURCES)
            books = Statement(heading=heading, records=tuple(self.books))
        report = verify(self.trail, self.signer.verifier.vkey(), since, trusted, books)
        return not (report.integrity and report.completeness)


@pytest.fixture
def world(trail, signer, make, start_witness, tsa):
    made = World(trail, signer, start_witness("one"), start_witness("two"), tsa)
    made.make = make
    log = Log(trail, signer)
    log.record(make())
    log.prove(300)
    log.close()
    made.confirm()
    (file,) = (trail / "confirmed").glob("*.checkpoint")
    made.kept = file.read_text()
    return made


def changed(world):
    entries = _rewrite.entries_of(world.trail)
    entries[100] = entries[100].replace(b"researcher-a", b"researcher-b")
    return entries


def writes_files(world):
    _rewrite.write_bundles(world.trail, changed(world))


def holds_the_key(world):
    """Rewrites the log and leaves the confirmations of the old one."""
    _rewrite.rewrite(world.trail, changed(world), world.signer)


def holds_the_key_and_clears_up(world):
    holds_the_key(world)
    shutil.rmtree(world.trail / "confirmed")


def forge(world, *witnesses, stamped=False):
    """Confirm the rewritten log with stolen witness keys; a stamp can be bought by anybody."""
    note = (world.trail / "checkpoint").read_text()
    body = note.partition("\n\n")[0] + "\n"
    text = note + "".join(cosign(each.witness._signer, body, NOW) for each in witnesses)
    folder = world.trail / "confirmed"
    folder.mkdir()
    (folder / "000000000300.checkpoint").write_text(text)
    if stamped:
        (folder / "000000000300.checkpoint.tsr").write_bytes(stamp(world.tsa.address, text.encode()))


def holds_one_witness_too(world):
    holds_the_key_and_clears_up(world)
    forge(world, world.one)


def holds_both_witnesses_and_buys_a_stamp(world):
    holds_the_key_and_clears_up(world)
    forge(world, world.one, world.two, stamped=True)


def restores_a_backup(world):
    """Everything in the folder as it was before anything was confirmed."""
    shutil.rmtree(world.trail)
    shutil.copytree(world.before, world.trail)


def never_records(world):
    """An act that was not announced leaves nothing to find, and no line in any book."""


def never_records_and_leaves_a_line(world):
    """An act that was not announced has to be paid for, or kept somewhere."""
    world.books.append(Record(kind="charge", id="c1", event=new_id(), index=301, rho_micro=10))


def rolls_the_ledger_back(world):
    """The trail is whole; a question that was answered is no longer paid for."""
    log = Log(world.trail, world.signer)
    asked = world.make(phase="intent", dp={"rho_micro": 10})
    log.record(asked)
    log.record(world.make(phase="outcome", outcome="success", corr=asked.corr))
    log.prove(302)
    log.close()
    world.confirm()
    world.stated = 303


# Who sees it, in the order of HOLDS. The forged logs are an entry shorter than the house has seen: its books say so.
TABLE = {
    writes_files: (True, True, True, True, True, True, True),
    holds_the_key: (True, True, True, True, True, True, True),
    holds_the_key_and_clears_up: (False, True, True, True, True, True, True),
    holds_one_witness_too: (False, False, True, True, True, True, True),
    holds_both_witnesses_and_buys_a_stamp: (False, False, False, True, False, True, True),
    restores_a_backup: (False, True, True, True, True, True, True),
    never_records: (False, False, False, False, False, False, False),
    never_records_and_leaves_a_line: (False, False, False, False, False, False, True),
    rolls_the_ledger_back: (False, False, False, False, False, False, True),
}


@pytest.mark.parametrize("attack", TABLE, ids=lambda attack: attack.__name__)
def test_an_attack_is_seen_by_exactly_those_who_hold_what_shows_it(attack, world):
    attack(world)
    assert tuple(world.seen_by(held) for held in HOLDS) == TABLE[attack]


def test_a_backup_from_after_a_confirmation_is_seen_by_the_memory_of_the_witness_alone(world, make):
    backup = shutil.copytree(world.trail, world.trail.parent / "later")
    log = Log(world.trail, world.signer)
    log.record(make())
    log.prove(301)
    log.close()
    world.confirm()
    shutil.rmtree(world.trail)
    shutil.copytree(backup, world.trail)
    assert [held for held in HOLDS if world.seen_by(held)] == ["memory of a witness"]


def test_a_bought_stamp_shows_its_youth(world):
    first = verify(world.trail, trusted=Trusted(stamp_roots=read_roots(world.tsa.root.read_bytes()))).stamped
    holds_both_witnesses_and_buys_a_stamp(world)
    again = verify(world.trail, trusted=Trusted(stamp_roots=read_roots(world.tsa.root.read_bytes()))).stamped
    assert again.since >= first.since
