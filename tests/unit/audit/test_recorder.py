"""The recorder's HTTP interface, in this process; the process itself is tested in test_serve.py."""

import threading

import orjson
import pytest
from starlette.testclient import TestClient

from audit import recorder
from audit.checkpoint import open_checkpoint
from audit.event import MAX_EVENT_BYTES, new_id
from audit.proof import check_proof
from audit.store_search import Search


@pytest.fixture
def client(log):
    with TestClient(recorder.create_app(log), raise_server_exceptions=False) as opened:
        yield opened


def post(client, event):
    return client.post("/v1/events", content=orjson.dumps(event))


def test_a_recorded_event_is_answered_with_its_place_and_hash(client, raw, log):
    answer = post(client, event := raw())
    assert answer.status_code == 201
    assert answer.json()["index"] == 0
    assert answer.json()["id"] == event["id"]
    assert len(bytes.fromhex(answer.json()["leaf_sha256"])) == 32
    assert log.head.size == 1


def test_the_same_event_again_is_the_same_answer_and_other_bytes_a_conflict(client, raw):
    first = post(client, event := raw())
    assert post(client, event).json() == first.json()
    conflict = post(client, {**event, "project": "project-b"})
    assert conflict.status_code == 409
    assert conflict.json()["error"]["code"] == "event_id_taken"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{}", 422, "event_not_valid"),
        (b"no json", 422, "event_not_json"),
        (b" " * (MAX_EVENT_BYTES + 1), 413, "event_too_large"),
        (b" " * (MAX_EVENT_BYTES + recorder.MAX_DETAIL_BYTES + 1), 413, "event_too_large"),
    ],
)
def test_what_is_no_event_is_refused_and_not_recorded(client, log, body, status, code):
    answer = client.post("/v1/events", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert set(answer.json()["error"]) == {"code", "message", "to_do"}
    assert log.head.size == 0


def test_a_log_that_does_not_answer_in_time_is_a_refusal(client, raw, log, monkeypatch):
    monkeypatch.setattr(recorder, "ANSWER_SECONDS", 0.05)
    gate = threading.Event()
    monkeypatch.setattr(log, "_refuse_if_gone", gate.wait)
    answer = post(client, event := raw())
    gate.set()
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "log_too_slow"
    monkeypatch.undo()
    assert post(client, event).status_code == 201
    assert log.head.size == 1


def test_a_closed_log_is_a_refusal_everywhere(client, raw, log):
    log.close()
    assert post(client, raw()).status_code == 503
    assert client.get("/v1/health").status_code == 503


def test_health_tells_origin_size_root_and_version(client, raw, log):
    post(client, raw())
    health = client.get("/v1/health").json()
    assert health == {
        "origin": log.head.origin,
        "size": 1,
        "root": log.head.root.hex(),
        "version": recorder.__version__,
    }


def test_open_intents_are_those_of_the_service_without_outcome(client, raw):
    closed, other = raw(phase="intent"), raw(phase="intent", source={"service": "intake"})
    waiting = raw(phase="intent")
    for event in (
        closed,
        raw(phase="outcome", corr=closed["corr"], outcome="success"),
        other,
        waiting,
        raw(phase="outcome", corr=waiting["corr"], outcome="success", type="data.import"),
    ):
        assert post(client, event).status_code == 201
    found = client.get("/v1/open", params={"service": "engine"}).json()["events"]
    assert [each["id"] for each in found] == [waiting["id"]]
    assert found[0]["seq"] == 3


def test_an_act_announced_twice_and_closed_once_is_open_once(client, raw):
    corr = new_id()
    first, second = raw(phase="intent", corr=corr), raw(phase="intent", corr=corr)
    for event in (first, second, raw(phase="outcome", corr=corr, outcome="success")):
        post(client, event)
    found = client.get("/v1/open", params={"service": "engine"}).json()["events"]
    assert [each["id"] for each in found] == [second["id"]]


def test_open_intents_of_nobody_is_a_usage_error(client):
    assert client.get("/v1/open").json()["error"]["code"] == "no_service"


@pytest.fixture
def filled(client, raw):
    events = [
        raw(),
        raw(actor={"id": "steward-a", "kind": "person"}),
        raw(project="project-b", object=[{"kind": "file", "id": "f1"}, {"kind": "file", "id": "f1"}]),
        raw(type="data.denied", outcome="denied"),
        raw(phase="intent"),
    ]
    for each in events:
        assert post(client, each).status_code == 201
    return events


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"actor": "steward-a"}, [1]),
        ({"project": "project-b"}, [2]),
        ({"object": "file:f1"}, [2]),
        ({"object": "dataset:dataset-a", "outcome": "denied"}, [3]),
        ({"type": "data.denied"}, [3]),
        ({"phase": "intent"}, [4]),
        ({"outcome": "denied"}, [3]),
        ({"actor": "nobody"}, []),
        ({"type": ""}, [4, 3, 2, 1, 0]),
        ({"after": "2020-01-01", "before": "2999-01-01"}, [4, 3, 2, 1, 0]),
        ({"before": "2020-01-01"}, []),
        ({"after": "2999-01-01"}, []),
    ],
)
def test_search_finds_what_was_asked_for_newest_first(client, filled, asked, found):
    answer = client.get("/v1/events", params=asked).json()
    assert [each["seq"] for each in answer["events"]] == found
    assert answer["total"] == len(found)


def test_search_by_correlation_follows_one_act(client, filled):
    answer = client.get("/v1/events", params={"corr": filled[3]["corr"]}).json()
    assert [each["seq"] for each in answer["events"]] == [3]


def test_search_pages_by_index_and_keeps_the_total(client, filled):
    page = client.get("/v1/events", params={"limit": 2}).json()
    assert [each["seq"] for each in page["events"]] == [4, 3]
    following = client.get("/v1/events", params={"limit": 2, "before": "3"}).json()
    assert [each["seq"] for each in following["events"]] == [2, 1]
    newer = client.get("/v1/events", params={"after": "2"}).json()
    assert [each["seq"] for each in newer["events"]] == [4, 3]
    assert page["total"] == following["total"] == newer["total"] == 5


def test_a_text_is_looked_for_in_what_events_say(client, filled):
    found = client.get("/v1/events", params={"text": "Steward-A dataset"}).json()["events"]
    assert [each["seq"] for each in found] == [1]
    assert client.get("/v1/events", params={"text": "f1", "project": "project-a"}).json()["total"] == 0


@pytest.mark.parametrize("text", ["***", '" "', "é", "a " * 9 + "b c d e f g h i j k l m n o p q"])
def test_a_text_without_words_or_with_too_many_is_a_usage_error(client, text):
    answer = client.get("/v1/events", params={"text": text})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_text")


@pytest.mark.parametrize("limit", ["0", "x", "1001", "-1"])
def test_a_limit_out_of_range_is_a_usage_error(client, limit):
    assert client.get("/v1/events", params={"limit": limit}).json()["error"]["code"] == "bad_limit"


def test_an_unknown_search_word_is_a_usage_error_that_does_not_repeat_it(client):
    answer = client.get("/v1/events", params={"name": "dupont"})
    assert answer.status_code == 422
    assert "dupont" not in answer.text


def test_a_proof_is_text_that_verifies(client, filled, signer):
    answer = client.get("/v1/proof/2")
    assert answer.headers["content-type"].startswith("text/plain")
    assert check_proof(answer.text, signer.verifier).index == 2
    assert open_checkpoint(answer.text.split("\n\n", 1)[1], signer.verifier).size > 2


def test_a_proof_of_nothing_is_not_found(client):
    answer = client.get("/v1/proof/0")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_entry")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", "/v1/events", 405)]
)
def test_an_address_that_is_none_is_answered_as_an_error(client, method, path, status):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "no_such_address"


def test_a_database_that_fails_under_a_search_is_a_refusal(client, log):
    log.store.close()
    (log.directory / "log.db").write_bytes(b"garbage" * 9999)
    answer = client.get("/v1/events")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "log_state_unknown"


def test_a_log_at_rest_says_that_it_is_alive(log):
    with recorder.beating(log, 0.01):
        while log.head.size < 2:
            pass
    found, _ = log.search(Search({"type": "audit.heartbeat"}))
    assert len(found) >= 2
    assert found[-1]["counts"] == {"entries": 0}


def test_a_search_bounded_by_times_goes_on_below_an_index(client, raw):
    for _ in range(5):
        client.post("/v1/events", json=raw())
    asked = {"limit": 2, "after": "2020-01-01T00:00:00.000000Z", "before": "2999-01-01T00:00:00.000000Z"}
    pages = [client.get("/v1/events", params=asked | {"below": below}).json() for below in (5, 3, 1)]
    assert [[event["seq"] for event in page["events"]] for page in pages] == [[4, 3], [2, 1], [0]]
    assert {page["total"] for page in pages} == {5}
    assert client.get("/v1/events", params={"below": "x"}).status_code == 422


def test_a_search_counts_no_further_than_it_says(client, raw, monkeypatch):
    for module in ("audit.recorder", "audit.store_search"):
        monkeypatch.setattr(f"{module}.COUNTED", 3)
    for expected in ((1, False), (2, False), (3, False), (3, True), (3, True)):
        client.post("/v1/events", json=raw())
        told = client.get("/v1/events", params={"limit": 1}).json()
        assert (told["total"], told["more"]) == expected
