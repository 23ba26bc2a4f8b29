"""A recorder in this process for the tests of what is kept, with a clock that can be set forward."""

from datetime import UTC, datetime, timedelta

from starlette.testclient import TestClient

from audit import recorder
from audit.details import Detail
from audit.log import Log
from audit.retention import Rules
from audit.retention_doors import DETAILS, Keeper

KEY = bytes(32)
DPO = {"id": "dpo-a", "kind": "person", "role": "dpo"}
AUDITOR = {"id": "auditor-a", "kind": "person", "role": "auditor"}
STEWARD = {"id": "steward-a", "kind": "person", "role": "steward"}
NOW = "2026-11-25T10:00:00.000000Z"
ADDRESS = "192.0.2.17"


def later(days):
    return (datetime(2026, 11, 25, 10, tzinfo=UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def code(answer):
    return answer.json()["error"]["code"]


class House:
    """A recorder in this process, with a clock that can be set forward."""

    def __init__(self, folder, signer, make) -> None:
        self.at = NOW
        self.log = Log(folder / "trail", signer, details_key=KEY, clock=lambda: self.at)
        app = recorder.create_app(self.log)
        app.state.keeper = Keeper(self.log, lambda: self.at)
        self.http = TestClient(app, raise_server_exceptions=False)
        self.make = make

    def record(self, kind, detail=None, **more):
        told = {"type": kind, "project": None, "object": None, **more}
        return self.log.record(self.make(**told), detail=detail).index

    def login(self, person="researcher-a", **words):
        actor = {"id": person, "kind": "person"}
        return self.record(
            "auth.login", Detail(person=person, words=words or {"client": ADDRESS}), actor=actor
        )

    def say(self, kind, about, actor, **more):
        what, _, name = about.partition(":")
        return self.record(kind, actor=actor, object=[{"kind": what, "id": name}], **more)

    def read(self, index, under):
        return self.http.post(f"/v1/details/{index}", json={"receipt": under})

    def intent(self, kind="audit.erase", about=DETAILS, actor=DPO, **more):
        counts = more.pop("counts", Rules().as_counts())
        policy = more.pop("rules", Rules()).as_policy({})
        return self.say(kind, about, actor, phase="intent", counts=counts, policy=policy, **more)

    def retention(self, **more):
        return self.http.post("/v1/retention", json=more)
