"""Hostile, malformed and huge questions, generated from a seed, and how long their refusal takes.

Each family is wrong in its own way whatever is drawn, so that every one of its documents is refused; mutations of a good question
are timed as well, whether refused or not.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from anonymisation.errors import AnonymisationError
from anonymisation.question import check, parse
from benchmarks.privacy.claims import claim, timed
from benchmarks.privacy.made_up import TABLE
from enclave.people import Person
from enclave.web.apps import data_app
from tests.unit.web.house_for_tests import HouseForTests
from tests.unit.web.test_api import send

SEED, EACH = 4, 25
MUTATIONS = 200
LIMIT_MS = 50
SQL = ("' OR 1=1 --", "x'; DROP TABLE stays; --", "1) UNION SELECT nir FROM identity", "Robert'); --")
PATHS = (
    "../../../etc/passwd",
    "/proc/self/environ",
    "file:///etc/shadow",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
)
CODE = (
    "__import__('os')",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "pl.col('nir')",
    "lambda row: row",
    "<script>alert(1)</script>",
)
STRANGE = (*SQL, *PATHS, *CODE, "\x00", "\u202e", "é" * 500, "A" * 5_000, "", " ")
WORST: tuple[Any, ...] = (
    *STRANGE, None, True, -1, 0, 2**63, 10**400, 0.5, float("nan"), float("inf"), [], {}, [[]], {"$gt": ""},
)  # fmt: skip
GOOD: dict[str, Any] = {
    "v": 1,
    "dataset": "stays",
    "let": [{"name": "band", "expr": ["bins", "age", [18, 65]]}],
    "where": ["and", [">", "age", 17], ["in", "dept", ["d01", "d02"]]],
    "unit": {"rows": 4, "groups": 2},
    "by": ["band"],
    "ask": [{"name": "m", "stat": "mean", "column": "age", "low": 0, "high": 100}],
    "rho_micro": 1_000,
}


def _with(**fields: Any) -> dict[str, Any]:
    return GOOD | fields


def _nested(draw: random.Random) -> Any:
    """Arrays and objects inside each other, as bytes: deeper than any reader should follow."""
    depth = draw.choice((40, 400, 4_000, 15_000))
    opened = [draw.choice(("[", '{"a":')) for _ in range(depth)]
    closed = "".join("]" if each == "[" else "}" for each in reversed(opened))
    return f'{{"v":1,"dataset":"stays","where":{"".join(opened)}1{closed}}}'.encode()


def _operators(draw: random.Random) -> Any:
    inner: Any = "age"
    for _ in range(draw.randint(15, 60)):
        inner = draw.choice((["not", inner], ["bins", inner, [*range(90)]], ["and", inner, inner[:1]]))
    return _with(where=inner)


def _many_groups(draw: random.Random) -> Any:
    edges = [*range(1, draw.randint(60, 119))]
    lets = [{"name": f"b{place}", "expr": ["bins", "age", edges]} for place in range(3)]
    return _with(let=lets, by=[*(let["name"] for let in lets), "dept"])


def _not_numbers(draw: random.Random) -> Any:
    end = draw.choice(("low", "high"))
    wrong = draw.choice(
        (float("nan"), float("inf"), "NaN", "-Infinity", "1e400", "0x10", "٣", "1_000", 1e308, "--1")
    )
    return _with(ask=[{"name": "m", "stat": "mean", "column": "age", end: wrong}])


def _unknown_columns(draw: random.Random) -> Any:
    name = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz_", k=draw.randint(3, 30))) + "_"
    place = draw.choice(("by", "where", "ask", "let"))
    return _with(
        **{
            "by": {"by": [name]},
            "where": {"where": [">", name, 1]},
            "ask": {"ask": [{"name": "m", "stat": "sum", "column": name}]},
            "let": {"let": [{"name": "band", "expr": ["+", name, 1]}]},
        }[place]
    )


def _foreign_text(draw: random.Random) -> Any:
    text = draw.choice(STRANGE)
    return _with(
        **draw.choice(
            (
                {"dataset": text},
                {"by": [text]},
                {"where": [text, "age", 1]},
                {"where": ["==", ["col", text], 1]},
                {"ask": [{"name": "m", "stat": text, "column": "age"}]},
                {"ask": [{"name": text, "stat": "count"}]},
                {"ask": [{"name": "r", "stat": "rate", "column": "age", "standard": text or "x"}]},
                {"let": [{"name": text, "expr": ["+", "age", 1]}], "by": []},
                {text: 1},
            )
        )
    )


def _huge(draw: random.Random) -> Any:
    size = draw.randint(2_000, 9_000)
    return draw.choice(
        (
            _with(where=["in", "age", [*range(size)]]),
            _with(where=["or", *([["is_null", "age"]] * size)]),
            _with(ask=[{"name": f"n{place}", "stat": "count"} for place in range(size // 10)]),
            _with(let=[{"name": f"x{place}", "expr": ["+", "age", place]} for place in range(size // 10)]),
            _with(by=["age", "dept"] * size),
            {f"k{place}": place for place in range(size)},
            b"[" * 65_536,
            b'{"rho_micro":' + b"9" * 60_000 + b"}",
            b'{"v":1,"dataset":"' + b"a" * 70_000 + b'"}',
            _with(rho_micro=10 ** draw.randint(9, 300)),
            _with(ask=[{"name": "h", "stat": "histogram", "column": "age", "edges": [*range(size)]}]),
        )
    )


def _growing(draw: random.Random) -> Any:
    """Recodes that double at every step, or numbers that leave what an integer holds."""
    twice = draw.choice((["+"], ["*"]))
    lets = [{"name": "x0", "expr": [*twice, "age", ["col", "age"]]}]
    lets += [
        {"name": f"x{place}", "expr": [*twice, f"x{place - 1}", ["col", f"x{place - 1}"]]}
        for place in range(1, draw.randint(12, 31))
    ]
    power = draw.choice(lets[9:])["name"]
    wrong = {
        "name": "m",
        "stat": draw.choice(("cox", "poisson", "logistic", "median", "max")),
        "column": power,
    }
    return _with(let=lets, by=[], ask=[wrong])


def _half_a_document(draw: random.Random) -> Any:
    """Bytes of a good question, cut or with one byte changed so that they are JSON no more."""
    raw = json.dumps(GOOD).encode()
    place = draw.randrange(1, len(raw) - 1)
    return raw[:place] if draw.random() < 0.5 else raw[:place] + b"\xff" + raw[place + 1 :]


FAMILIES: Mapping[str, Callable[[random.Random], Any]] = {
    "nested": _nested,
    "operators": _operators,
    "many groups": _many_groups,
    "not numbers": _not_numbers,
    "unknown columns": _unknown_columns,
    "foreign text": _foreign_text,
    "huge": _huge,
    "growing": _growing,
    "half a document": _half_a_document,
}


def corpus(each: int = EACH, seed: int = SEED) -> Iterator[tuple[str, bytes]]:
    """Give so many documents of each family, as they would arrive."""
    draw = random.Random(seed)
    for name, family in FAMILIES.items():
        for _ in range(each):
            yield name, _bytes(family(draw))


def mutations(count: int = MUTATIONS, seed: int = SEED) -> Iterator[bytes]:
    """Give a good question with one or two of its nodes exchanged for the worst."""
    draw = random.Random(seed)
    for _ in range(count):
        document = deepcopy(GOOD)
        for _ in range(draw.randint(1, 2)):
            place, key = draw.choice([*_places(document)])
            place[key] = draw.choice(WORST)
        yield _bytes(document)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in range(len(node)) if isinstance(node, list) else list(node):
        yield node, key
        if isinstance(node[key], list | dict):
            yield from _places(node[key])


def _bytes(document: Any) -> bytes:
    if isinstance(document, bytes):
        return document
    return json.dumps(document, ensure_ascii=False).encode(errors="surrogatepass")


def refusal(raw: bytes) -> AnonymisationError | None:
    """Read a document as the engine does; give its refusal, or None where it is a question about the table."""
    try:
        check(parse(raw), TABLE)
    except AnonymisationError as error:
        return error
    return None


class Reading(HouseForTests):
    """A house whose API reads each question as the engine does."""

    def ask(self, person: Person, project: str, question: Any) -> Any:
        check(parse(question), TABLE)
        return super().ask(person, project, question)


def by_api(app: Any, raw: bytes) -> None:
    """Send a document to the notebook's API; it is refused in the house's words."""
    answer = send(app, "POST", "/api/v1/ask", content=b'{"question":' + raw + b"}")
    assert 400 <= answer.status_code < 500, answer.status_code
    assert set(answer.json()["error"]) == {"code", "message", "to_do"}


def claims() -> Iterator[bool]:
    """Claims: the 99th percentile of a refusal, read alone and through the notebook's API."""
    documents = [raw for _, raw in corpus()]
    accepted = [name for name, raw in corpus() if refusal(raw) is None]
    assert not accepted, f"accepted: {accepted}"
    everything = [*documents, *mutations()]
    alone = [1_000 * timed(lambda raw=raw: refusal(raw)) for raw in everything]  # type: ignore[misc]
    told = f"{len(documents)} hostile questions and {MUTATIONS} mutations: ms until refused, 99th percentile"
    yield claim(told, [_p99(alone)], LIMIT_MS, "limit; read and fitted", rounds=len(alone))
    app = data_app(Reading())
    by_api(app, documents[0])
    through = [1_000 * timed(lambda raw=raw: by_api(app, raw)) for raw in documents]  # type: ignore[misc]
    told = f"{len(documents)} hostile questions through the notebook's API: ms until refused, 99th percentile"
    yield claim(told, [_p99(through)], LIMIT_MS, "limit; request and answer counted", rounds=len(through))


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * len(values))]
