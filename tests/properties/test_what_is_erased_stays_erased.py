"""Whatever is erased or pruned, in whatever order and with whatever restarts: proofs hold, nothing comes back."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.checkpoint import Signer
from audit.details import Detail
from audit.details_store import DATABASE, Erased
from audit.event import Event, new_id, utc_now
from audit.proof import check_proof
from audit.retention import Rules
from audit.retention_doors import LOG
from audit.verify import verify
from tests.unit.audit.house_for_tests import AUDITOR, DPO, House, later

SIGNER = Signer("enclave.example/trail", Ed25519PrivateKey.generate())
PERSONS = ("researcher-a", "researcher-b", "steward-a")
BEFORE = 280  # entries that are there already, so that there is a tile to prune

steps = st.one_of(
    st.tuples(st.just("login"), st.sampled_from(PERSONS), st.text(min_size=1, max_size=60)),
    st.tuples(st.just("comment"), st.sampled_from(PERSONS), st.text(min_size=1, max_size=4_000)),
    st.tuples(st.just("wait"), st.sampled_from([100, 400, 4_000])),
    st.tuples(st.just("apply")),
    st.tuples(st.just("destroy"), st.sampled_from(PERSONS)),
    st.tuples(st.just("prune")),
    st.tuples(st.just("restart")),
)


def event(**more: object) -> Event:
    base = {
        "v": 1,
        "id": new_id(),
        "type": "data.query",
        "phase": "single",
        "corr": new_id(),
        "occurred": utc_now(),
        "actor": {"id": "researcher-a", "kind": "person"},
        "source": {"service": "service"},
    }
    return Event.model_validate(
        {name: value for name, value in {**base, **more}.items() if value is not None}
    )


class Life:
    """A recorder that lives through steps, with what must be readable, what must be gone and what was proved."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.days = folder, 0
        self.house = House(folder, SIGNER, event)
        self.readable: dict[int, dict[str, str]] = {}
        self.secrets: list[bytes] = []
        self.proved: dict[int, tuple[str, bytes]] = {}
        for answer in [self.house.log.submit(event()) for _ in range(BEFORE)]:
            answer.result()
        self.prove(3)

    def prove(self, index: int) -> None:
        ((leaf, _),) = self.house.log.store.leaves(index, index + 1)
        self.proved[index] = self.house.log.prove(index), leaf

    def sealed(self) -> dict[int, bytes]:
        with closing(sqlite3.connect(self.folder / "trail" / DATABASE)) as db:
            return dict(db.execute("SELECT seq, sealed FROM detail"))

    def erasing(self, step: tuple[str, ...]) -> None:
        before = self.sealed()
        getattr(self, step[0])(*step[1:])
        gone = before.keys() - self.sealed().keys()
        self.secrets += [before[seq] for seq in gone]
        for seq in gone:
            self.readable.pop(seq)

    def login(self, person: str, text: str) -> None:
        index = self.house.login(person, client=text)
        self.readable[index] = {"client": text}
        self.prove(index)

    def comment(self, person: str, text: str) -> None:
        actor = {"id": person, "kind": "person"}
        detail = Detail(person=person, words={"comment": text})
        index = self.house.record("release.review", detail, actor=actor, reason="file_reject")
        self.readable[index] = {"comment": text}
        self.prove(index)

    def wait(self, days: int) -> None:
        self.days += days
        self.house.at = later(self.days)

    def apply(self) -> None:
        corr = new_id()
        assert self.house.retention(receipt=self.house.intent(corr=corr)).status_code == 200
        self.house.say("audit.erase", "trail:details", DPO, phase="outcome", outcome="success", corr=corr)

    def destroy(self, person: str) -> None:
        corr, about = new_id(), f"person:{person}"
        asked = self.house.say("audit.erase", about, AUDITOR, reason="asked", outcome="success")
        under = self.house.intent(about=about, corr=corr)
        body = {"person": person, "asked": asked, "receipt": under}
        assert self.house.http.post("/v1/persons/destroy", json=body).status_code == 200
        self.house.say("audit.erase", about, DPO, phase="outcome", outcome="success", corr=corr)

    def prune(self) -> None:
        last = self.house.log.head.size - 1
        self.house.record("audit.review", actor=AUDITOR, counts={"first": 0, "last": last})
        told = self.house.http.post("/v1/prune", json={}).json()
        if told["boundary"] == told["pruned"]:
            return
        corr = new_id()
        asked = self.house.say("audit.prune", LOG, DPO, reason="asked", outcome="success")
        counts = {**Rules().as_counts(), "boundary": told["boundary"]}
        under = self.house.intent("audit.prune", LOG, AUDITOR, counts=counts, corr=corr)
        done = self.house.http.post("/v1/prune", json={"asked": asked, "receipt": under})
        assert done.status_code == 200, done.text
        self.house.say("audit.prune", LOG, AUDITOR, phase="outcome", outcome="success", corr=corr)

    def restart(self) -> None:
        at = self.house.at
        self.house.log.close()
        self.house = House(self.folder, SIGNER, event)
        self.house.at = at

    def check(self) -> None:
        """What is left is whole; what was proved is provable; what is held is read; what is gone is in no file."""
        log = self.house.log
        log.prove(log.head.size - 1)
        report = verify(self.folder / "trail")
        assert report.integrity, [step for step in report.steps if step.verdict == "failed"]
        assert report.completeness, report.anomalies
        for index, (old, leaf) in self.proved.items():
            assert check_proof(old, SIGNER.verifier).entry == leaf
            assert check_proof(log.prove(index), SIGNER.verifier, leaf).index == index
        assert log.details is not None
        for index, words in self.readable.items():
            opened = log.details.read(index)
            assert opened is not None
            assert not isinstance(opened, Erased)
            assert opened.detail.words == words
            assert orjson.loads(self.proved[index][1])["sealed"]["sha256"] == opened.commitment()
        held = b"".join(path.read_bytes() for path in (self.folder / "trail").glob("*.db*"))
        assert not [secret for secret in self.secrets if secret[:32] in held or secret[-32:] in held]


def lives() -> Iterator[Life]:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder))
        yield life
        life.house.log.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=3, max_size=14))
def test_whatever_is_erased_in_whatever_order_proofs_hold_and_nothing_comes_back(
    done: list[tuple[str, ...]],
) -> None:
    for life in lives():
        for step in done:
            life.erasing(step)
        life.check()
