"""Searches against a plain reading of every event: whatever way they take, they find the same."""

import itertools
import sqlite3

import orjson
import pytest

from audit import store_words
from audit.log import Log
from audit.store import Trouble
from audit.store_search import Search
from audit.store_words import NoIndex, Words, said, says, words

# The clock goes back twice: by a minute, and by a second.
TIMES = [f"2026-11-25T10:{minute:02d}:{second:02d}.000000Z" for minute, second in
         [(0, 1), (0, 2), (5, 0), (4, 0), (4, 1), (6, 0), (5, 59), (7, 0), (8, 0), (9, 0)]]  # fmt: skip
KINDS = ("data.query", "data.denied", "key.unwrap")
OUTCOMES = ("success", "denied")


def events(make):
    turns = zip(itertools.cycle(KINDS), itertools.cycle(OUTCOMES), range(len(TIMES)), strict=False)
    for kind, outcome, number in turns:
        yield make(
            type=kind,
            phase="outcome",
            outcome=outcome,
            reason="role_missing" if outcome == "denied" else None,
            purpose="research",
            actor={"id": f"researcher-{'ab'[number % 2]}", "kind": "person", "role": "researcher"},
            project=f"project-{'ab'[number % 3 == 0]}",
            object=[{"kind": "file", "id": "F1" if number % 4 else "f1"}, {"kind": "dataset", "id": "d.x/1"}],
        )


def caught_up(log, size):
    while log._index.upto < size:
        log._index.tell()


@pytest.fixture(scope="module", params=["not begun", "half way", "all", "gone", "many clock steps"])
def filled(request, tmp_path_factory, signer, make):
    """A log whose index of words is in each state that it can be in."""
    ticks = iter(TIMES)
    log = Log(tmp_path_factory.mktemp("filled") / "trail", signer, clock=lambda: next(ticks))
    whole = list(events(make))
    half = {"not begun": 0, "half way": 5}.get(request.param, len(whole))
    for each in whole[:half]:
        log.record(each)
    caught_up(log, half)
    log._index._step = lambda: False
    for each in whole[half:]:
        log.record(each)
    if request.param == "gone":
        with log._index._turn:
            log._index._drop()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many clock steps":
            patch.setattr(store_words, "MOST_RUNS", 1)
        yield log
    log.close()


SEARCHES = [
    {},
    {"type": "data.query"},
    {"type": "data.query", "outcome": "success"},
    {"type": "data.query", "outcome": "success", "actor": "researcher-a", "phase": "outcome"},
    {"actor": "researcher-a", "project": "project-b"},
    {"actor": "researcher-a", "object": "file:f1"},
    {"type": "data.query", "object": "file:F1"},
    {"object": "file:F1"},
    {"actor": "researcher-a", "outcome": "denied"},
    {"after": TIMES[3]},
    {"before": TIMES[2]},
    {"after": TIMES[1], "before": TIMES[6]},
    {"after": TIMES[6], "before": TIMES[5]},
    {"after": "2027-01-01"},
    {"after": TIMES[3], "type": "data.query"},
    {"after": TIMES[3], "before": TIMES[8], "object": "file:F1"},
    {"after": TIMES[3], "before": TIMES[8], "type": "data.query", "outcome": "success"},
    {"text": "researcher"},
    {"text": "Role_Missing d.x/1"},
    {"text": "missing data", "after": TIMES[2], "before": TIMES[9]},
    {"text": "researcher-b", "type": "data.denied"},
    {"text": "file:f1"},
    {"text": "nobody"},
    {"text": "query", "object": "file:f1"},
    {"type": 'x" OR "a', "outcome": "success"},
    {"type": "DATA.QUERY", "outcome": "success"},
    {"type": "*", "actor": "researcher-a"},
]


def fits(event, asked):
    found = {**event, "actor": event["actor"]["id"]}
    objects = {f"{each['kind']}:{each['id']}" for each in event["object"]}
    equal = {
        name: value for name, value in asked.items() if name not in {"object", "after", "before", "text"}
    }
    return (
        all(found.get(name) == value for name, value in equal.items())
        and asked.get("object", next(iter(objects))) in objects
        and asked.get("after", "") < event["ts"] < asked.get("before", "3")
        and said(event).issuperset(words(asked.get("text", "")))
    )


@pytest.mark.parametrize("asked", SEARCHES, ids=str)
def test_a_search_finds_what_a_plain_reading_finds(filled, asked):
    everything = [orjson.loads(leaf) for leaf, _ in filled.store.leaves(0, filled.head.size)]
    expected = [each for each in reversed(everything) if fits(each, asked)]
    others = {name: asked[name] for name in ("object", "after", "before", "text") if name in asked}
    equal = {name: value for name, value in asked.items() if name not in others}
    found, total = filled.search(Search(equal, **others))
    assert (found, total) == (expected, len(expected))
    for limit in (1, 3):
        pages, below = [], None
        while page := filled.search(Search(equal, **others, limit=limit, below=below))[0]:
            pages += page
            below = page[-1]["seq"]
        assert pages == expected
    assert filled.search(Search(equal, **others, limit=2, below=4))[1] == len(expected)


def test_an_event_is_found_by_its_values_and_their_parts(make, log):
    event = make(
        type="release.review",
        reason="approve",
        purpose="research",
        release={"request": (request := make().id)},
        actor={"id": "steward-a", "kind": "person", "role": "steward"},
    )
    leaf = orjson.dumps(event.as_mapping())
    told = [
        "release.review",
        "review",
        "approve",
        "research",
        request,
        request[:8],
        "steward-a",
        "steward",
        event.corr,
    ]
    told += ["engine", "project-a", "dataset:dataset-a", "dataset-a", "dataset"]
    assert all(says(leaf, word) for word in told)
    assert says(leaf, "steward approve")
    assert not says(leaf, "steward reject")
    assert not says(leaf, "stew")


@pytest.mark.parametrize(
    "text",
    [
        '"',
        "a OR b",
        "NEAR(a b)",
        "a*",
        "said:x",
        "-a",
        "^a",
        "'; DROP TABLE entry; --",
        "=type:data.query",
        "\x00a",
        "é\u202e",
    ],
)
def test_hostile_text_is_words_or_nothing(filled, text):
    assert all(store_words.WORD.fullmatch(word) and "=" not in word for word in words(text))
    found, total = filled.search(Search({}, text=text))
    assert total == len(found)


def test_an_index_that_cannot_be_made_leaves_searches_whole(tmp_path, signer, make, monkeypatch, caplog):
    monkeypatch.setattr(store_words, "_INDEX", "CREATE VIRTUAL TABLE words USING nothing")
    log = Log(tmp_path / "trail", signer)
    log.record(make())
    log._index._thread.join()
    assert "read the database alone" in caplog.text
    assert log.search(Search({}, text="researcher"))[1] == 1
    log.close()


def test_an_index_that_is_damaged_is_let_go_and_the_search_is_whole(log, make, monkeypatch, caplog):
    for _ in range(5):
        log.record(make())
    monkeypatch.setattr(store_words, "PACE_SECONDS", 0)
    caught_up(log, 5)
    with log._index._turn:
        log._index._db.execute("DROP TABLE words")
    assert log.search(Search({}, text="researcher"))[1] == 5
    assert "read the database alone" in caplog.text
    assert not log._index._path.exists()
    log.record(make())
    assert log.search(Search({}, text="researcher"))[1] == 6


def test_an_index_on_a_full_disk_is_let_go_and_the_log_goes_on(tmp_path, signer, make, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Words, "_take", full)
    log = Log(tmp_path / "trail", signer)
    log.record(make())
    log._index._thread.join()
    assert not log._index._path.exists()
    assert log.record(make()).index == 1
    assert log.search(Search({}, text="researcher"))[1] == 2
    log.close()


def test_an_index_that_is_gone_says_so(log, make):
    log._index.close()
    for ask in (
        lambda: log._index.leaves(store_words.Wanted(("a",)), range(9), 1),
        lambda: log._index.count(store_words.Wanted(("a",)), range(9), 1),
        lambda: log._index.period(None, None, 0),
    ):
        with pytest.raises(NoIndex):
            ask()


def test_pruned_entries_are_forgotten_by_the_index_too(log, make, monkeypatch):
    for _ in range(256):
        log.submit(make(reason="role_missing"))
    announced = log.record(make(type="audit.prune", phase="intent", counts={"boundary": 256}))
    monkeypatch.setattr(store_words, "PACE_SECONDS", 0)
    caught_up(log, 257)
    log.prune(256, announced.index)
    caught_up(log, 257)
    assert log._index.leaves(store_words.Wanted(("missing",)), range(300), 9) == []
    assert log._index._db.execute("SELECT count(*) FROM words WHERE words MATCH 'missing'").fetchone() == (0,)
    assert log.search(Search({}, after="2020-01-01"))[1] == 1
    assert log.search(Search({}, text="missing"))[1] == 0
    with log._index._turn:
        log._index._drop()
    log._index.begin_anew()
    assert log._index._db is None


def test_the_index_is_private_and_gone_with_the_log(log, make):
    log.record(make())
    assert log._index._path.stat().st_mode & 0o777 == 0o600
    log.close()
    assert not log._index._path.exists()
    assert list((log.directory / "scratch").iterdir()) == []


def test_a_database_that_fails_fails_the_search(log, make):
    log.record(make())
    log.store.close()
    (log.directory / "log.db").write_bytes(b"garbage" * 9999)
    with pytest.raises(Trouble):
        log.search(Search({"type": "a"}, text="b"))
