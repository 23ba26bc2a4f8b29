import ast
import json
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from anonymisation.question import parse
from notebooks_image import enclave_client as e
from notebooks_image.enclave_client.errors import EnclaveError, NoSuchColumn, WrongType
from tests.unit.web.house_for_tests import HouseForTests

CLIENT = Path(__file__).parents[3] / "notebooks_image" / "enclave_client"


@pytest.fixture
def ds(enclave: ModuleType) -> Any:
    return enclave.dataset("hospital-stays")


def asked(house: HouseForTests) -> dict[str, Any]:
    return house.asked[-1]


def test_the_client_imports_nothing_of_the_house():
    for path in CLIENT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not [
                name for name in names if name.split(".")[0] in {"enclave", "anonymisation", "audit", "vault"}
            ]


def test_the_question_of_the_readme_travels_as_question_v1(
    enclave: ModuleType, ds: Any, house: HouseForTests
):
    q = (
        ds.filter(ds.cim10 == "I50")
        .group_by("sex")
        .agg(enclave.count(), enclave.mean("length_of_stay", 0, 60), enclave.sum("age", 0, 110))
    )
    q.ask()
    assert asked(house) == {
        "v": 1,
        "dataset": "hospital-stays",
        "where": ["==", ["col", "cim10"], "I50"],
        "let": [],
        "unit": {"rows": 20, "groups": 5},
        "by": ["sex"],
        "ask": [
            {"name": "count", "stat": "count"},
            {"name": "mean_length_of_stay", "stat": "mean", "column": "length_of_stay", "low": 0, "high": 60},
            {"name": "sum_age", "stat": "sum", "column": "age", "low": 0, "high": 110},
        ],
        "rho_micro": 20_000,
    }


@pytest.mark.parametrize(
    "build",
    [
        lambda ds: ds.filter((ds.age >= 65) & ~(ds.sex == "F") | (ds.age < 18)).count(),
        lambda ds: ds.where(sex="F", cim10="I50").size(),
        lambda ds: ds[ds.age.between(18, 64)].groupby(ds.sex).summarise(e.patients()),
        lambda ds: ds.filter(ds.cim10.is_in(["I50", "J18"])).agg(n=e.count("age")),
        lambda ds: ds.filter(ds.age.is_null()).count(),
        lambda ds: ds.with_columns(slice=ds.age.bins([0, 18, 65])).group_by("slice").agg(e.count()),
        lambda ds: ds.mutate(y=ds.admission.year()).group_by("y").agg(e.mean("age")),
        lambda ds: ds.assign(old=e.when(ds.age >= 65, "yes").otherwise("no")).group_by("old").count(),
        lambda ds: ds.with_columns(nights=ds.length_of_stay * 2 + 1 - ds.age).agg(e.sum("nights", 0, 50)),
        lambda ds: ds.filter(10 + ds.age > 20.5, e.col("sex") != "M").limit(rows=3).count(),
        lambda ds: ds.filter(ds.admission >= date(2023, 1, 1)).count(),
        lambda ds: ds.limit(rows=3, rows_per_group=1).count(),
        lambda ds: (
            ds.with_features(
                ds.filter(ds.cim10 == "I50"), seen=ds.exists(), oldest=ds.age.max(), due=ds.admission.min()
            )
            .group_by("seen")
            .agg(e.mean("oldest", 0, 110))
        ),
        lambda ds: (
            ds.with_features(ds, stays=ds.count(), nights=ds.length_of_stay.sum(0, 90))
            .filter(e.col("stays") > 1)
            .agg(e.sum("nights", 0, 90))
        ),
        lambda ds: (
            ds.with_features(ds, entered=ds.sex.first(ds.admission), ended=ds.cim10.last("admission"))
            .group_by("entered")
            .count()
        ),
    ],
)
def test_every_way_of_asking_is_a_question_the_engine_can_read(build: Any, ds: Any):
    parse(json.dumps(build(ds).to_json(1000)).encode())


def test_many_conditions_stay_flat(ds: Any):
    q = ds
    for year in range(2000, 2040):
        q = q.filter((ds.age > 1) | (ds.age > 2) | (ds.age > 3), ds.admission.year() != year)
    parse(json.dumps(q.count().to_json(1000)).encode())


def test_nothing_is_sent_before_price_or_ask(enclave: ModuleType, ds: Any, house: HouseForTests):
    q = ds.filter(ds.age > 60).count()
    assert house.asked == []
    assert "nothing is spent yet" in repr(q)
    assert repr(q).startswith("hospital-stays.filter((age > 60)).agg(count)")
    q.price()
    assert house.asked == []


def test_a_misspelt_column_is_named_with_the_closest_one(enclave: ModuleType, ds: Any):
    for ask in (
        lambda: ds.lenght_of_stay,
        lambda: ds["lenght_of_stay"],
        lambda: ds.group_by("lenght_of_stay"),
        lambda: ds.agg(enclave.mean("lenght_of_stay", 0, 1)),
        lambda: ds.filter(enclave.col("lenght_of_stay") > 3),
        lambda: ds.filter(lenght_of_stay=3),
    ):
        with pytest.raises(NoSuchColumn, match="no column 'lenght_of_stay'") as told:
            ask()
        assert "Did you mean 'length_of_stay'?" in str(told.value)
    assert not hasattr(ds, "lenght_of_stay")


def test_a_value_outside_the_domain_is_named_with_the_closest_one(ds: Any):
    with pytest.raises(WrongType, match=r"'I5' is not a declared value of 'hospital-stays\.cim10'") as told:
        ds.filter(ds.cim10 == "I5")
    assert "I50" in str(told.value)
    with pytest.raises(WrongType):
        ds.cim10.is_in(["I50", "X"])


def test_pythons_own_and_or_not_are_explained(ds: Any):
    for wrong in (
        lambda: ds.age > 3 and ds.age < 5,
        lambda: not ds.age,
        lambda: 3 < ds.age < 5,
        lambda: bool(ds.age),
        lambda: ds.filter(ds.sex == "F" and ds.age > 3),
    ):
        with pytest.raises(WrongType, match="neither true nor false"):
            wrong()


def test_rows_cannot_be_taken_out(ds: Any):
    for wrong in (lambda: len(ds), lambda: list(ds.age), lambda: list(ds.filter(ds.age > 3).age)):
        with pytest.raises(WrongType):
            wrong()


def test_what_cannot_be_in_a_question_is_named(enclave: ModuleType, ds: Any):
    with pytest.raises(WrongType, match="a list"):
        ds.filter(ds.age == [3])
    with pytest.raises(WrongType, match="a bool"):
        ds.filter(True)
    with pytest.raises(WrongType, match="a str"):
        ds.agg("count")
    with pytest.raises(WrongType):
        enclave.mean(3, 0, 1)


def test_columns_complete_like_attributes_and_items(ds: Any):
    assert {"age", "sex", "filter"} <= set(dir(ds))
    assert ds._ipython_key_completions_() == ["sex", "cim10", "age", "length_of_stay", "admission"]
    assert {"old"} <= set(dir(ds.with_columns(old=ds.age > 64)))
    assert repr(ds.sex) == "hospital-stays.sex: category (F, M)"
    assert repr(ds.age) == "hospital-stays.age: integer (0 – 110)"


def test_the_default_price_is_a_fiftieth_of_the_projects_budget(ds: Any, house: HouseForTests):
    q = ds.count()
    for options, expected in (
        ({}, 20_000),
        ({"share": 0.05}, 50_000),
        ({"rho": 0.0123456}, 12_346),
        ({"rho": 1e-7}, 1),
    ):
        q.ask(**options)
        assert asked(house)["rho_micro"] == expected
    with pytest.raises(EnclaveError, match="price above zero"):
        q.ask(rho=0)


def test_a_price_says_its_share_what_is_left_and_the_accuracy(enclave: ModuleType, ds: Any):
    price = ds.agg(enclave.count(), enclave.mean("age")).price()
    assert price.words == (
        "Would cost 2% of the project's budget, leaving 90%; expected accuracy: count ± 14.2, mean_age ± 14.2 (for 100 rows)."
    )
    assert "ρ = 0.02" in repr(price)
    assert "questions only" in repr(price)


def test_an_answer_starts_with_words_and_says_what_its_intervals_hold(enclave: ModuleType, ds: Any):
    answer = ds.group_by("sex").agg(enclave.count(), enclave.mean("length_of_stay")).ask()
    lines = repr(answer).splitlines()
    assert lines[0] == "About 420 stays, give or take 14; 2% of your project's budget."
    assert lines[1].split() == [
        "sex",
        "count",
        "noise",
        "only",
        "mean_length_of_stay",
        "noise",
        "and",
        "sampling",
    ]
    assert "confidence" not in repr(answer)
    assert "lost in noise" in repr(answer)
    assert "questions only" in lines[-1]
    enclave.language("fr")
    assert repr(answer).startswith("Environ 420 séjours")


def test_an_answer_becomes_a_frame(ds: Any):
    frame = ds.group_by("sex").count().ask().to_polars()
    assert frame.columns[:5] == ["sex", "count", "count_low", "count_high", "count_below_noise"]
    assert frame["count"].to_list() == [420, 9]
    assert frame["mean_length_of_stay"].to_list() == [6.25, None]


def test_an_answer_is_drawn_with_its_interval(ds: Any):
    class Axes:
        def __init__(self) -> None:
            self.drawn: dict[str, Any] = {}

        def errorbar(self, places: Any, values: list[float], yerr: Any, **_: Any) -> None:
            self.drawn["bars"] = (values, yerr)

        def set_xticks(self, places: Any, labels: list[str], **_: Any) -> None:
            self.drawn["labels"] = labels

        def set_ylabel(self, name: str) -> None:
            self.drawn["name"] = name

        def set_title(self, text: str, **_: Any) -> None:
            self.drawn["title"] = text

    answer = ds.group_by("sex").count().ask()
    axes = Axes()
    assert answer.plot("count", ax=axes) is axes
    assert axes.drawn == {
        "bars": ([420.0, 9.0], [[14.0, 14.0], [14.0, 14.0]]),
        "labels": ["F", "M"],
        "name": "count",
        "title": "noise only",
    }
    with pytest.raises(EnclaveError, match="no 'cost'"):
        answer.plot("cost", ax=axes)


def test_hostile_text_in_an_answer_or_a_description_is_escaped(enclave: ModuleType):
    from notebooks_image.enclave_client.answer import Answer
    from notebooks_image.enclave_client.dataset import Dataset
    from notebooks_image.enclave_client.files import Checks, Request, Requests

    evil = "<script>alert(1)</script>"
    cell = {"value": 1, "low": 0, "high": 2, "below_noise": True, "holds": "noise"}
    told = {
        "rows": [{evil: evil, "n": cell}],
        "words": {"en": evil, "fr": evil},
        "replayed": False,
        "spent": {"rho_micro": 1, "epsilon": 0.1, "delta": 1e-6},
        "left": {"project": 1},
    }
    column = {"name": evil, "kind": "category", "domain": [evil], "words": evil}
    described = {
        "dataset": evil,
        "title": evil,
        "version": 1,
        "unit": evil,
        "rows": 1,
        "groups": 1,
        "population": "p",
        "columns": [column],
    }
    finding = {"verdict": evil, "where": evil, "rule": evil, "fix": evil}
    shown = [
        Answer(told, (evil,))._repr_html_(),
        Dataset(described)._repr_html_(),
        Checks({"verdict": "fail", "files": [{"file": evil, "findings": [finding]}]})._repr_html_(),
        Requests([Request({"id": evil, "title": evil, "status": evil, "words": evil})])._repr_html_(),
    ]
    assert all("<script>" not in html and "&lt;script&gt;" in html for html in shown)


def test_the_budget_says_what_is_left_and_what_it_leaves_out(enclave: ModuleType):
    left = enclave.budget()
    assert left["normandie"].project.left_rho_micro == 920_000
    assert repr(left).startswith("92% of your project's budget on the population normandie is left.")
    assert "questions only" in repr(left)
    assert "<b>" not in left._repr_html_()


def test_files_are_checked_submitted_followed_and_withdrawn(
    enclave: ModuleType, house: HouseForTests, tmp_path: Path
):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n")
    counts = tmp_path / "counts.csv"
    counts.write_text("c\n")
    checks = enclave.check(table)
    assert checks.verdict == "fail"
    assert "regrouper les classes" in repr(checks)
    request = enclave.submit(table, title="t", purpose="p", supporting=[counts])
    assert [file.supporting for file in house.requests[request.id].files] == [False, True]
    table.write_text("changed after\n")
    assert house.requests[request.id].files[0].content == b"a,b\n"
    assert request.words.startswith("In review")
    assert [each.id for each in enclave.requests()] == [request.id]
    assert request.withdraw().status == "WITHDRAWN"
    assert request.refresh().status == "WITHDRAWN"


def test_a_file_that_is_not_there_or_too_large_is_told_before_sending(enclave: ModuleType, tmp_path: Path):
    with pytest.raises(EnclaveError, match="cannot be read"):
        enclave.check(tmp_path / "absent.csv")
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (16 * 1024 * 1024 + 1))
    with pytest.raises(EnclaveError, match="16 MiB"):
        enclave.check(large)
    with pytest.raises(EnclaveError, match="One file"):
        enclave.check()


def test_a_refusal_says_what_happened_and_what_to_do_without_a_traceback(enclave: ModuleType, ds: Any):
    with pytest.raises(EnclaveError) as told:
        ds.count().ask(rho=50)
    assert told.value.code == "budget_spent"
    assert told.value._render_traceback_() == ["Too dear.", "→ Ask for less."]
    with pytest.raises(EnclaveError, match="no dataset 'hospital-stay'") as unknown:
        enclave.dataset("hospital-stay")
    assert "hospital-stays" in unknown.value.to_do


def test_a_service_that_does_not_answer_is_said_kindly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from notebooks_image import enclave_client

    monkeypatch.setenv("ENCLAVE_SOCK", str(tmp_path / "nobody.sock"))
    with pytest.raises(EnclaveError, match="ne répond pas") as told:
        enclave_client.datasets()
    assert told.value.code == "service_unreachable"


def test_a_proxy_variable_does_not_redirect_a_question(enclave: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert enclave.datasets()[0].name == "hospital-stays"


def test_french_is_the_default_and_its_numbers_are_french():
    from notebooks_image import enclave_client
    from notebooks_image.enclave_client.language import number, say

    assert enclave_client.language() == "fr"
    assert number(-12345.6) == "−12\u202f346"
    assert number(0.1234) == "0,123"
    assert say("Oui : « vrai » !", "") == "Oui\u202f: «\u202fvrai\u202f»\u202f!"
    with pytest.raises(ValueError, match="'fr' or 'en'"):
        enclave_client.language("de")


def test_features_of_another_dataset_travel_with_its_own_steps(ds: Any):
    ill = ds.with_columns(old=ds.age >= 65).filter(ds.cim10 == "I50")
    q = ds.with_features(ill, stays=ill.count(), olds=e.count("old")).filter(e.col("stays") > 1).count()
    assert q.to_json(1000)["features"] == {
        "dataset": "hospital-stays",
        "let": [{"name": "old", "expr": [">=", ["col", "age"], 65]}],
        "where": ["==", ["col", "cim10"], "I50"],
        "take": [{"name": "stays", "stat": "count"}, {"name": "olds", "stat": "count", "column": "old"}],
    }
    assert ".with_features(hospital-stays" in repr(q)


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("column_unknown", lambda ds: ds.with_features(ds, worst=e.col("worst").max())),
        ("column_unknown", lambda ds: ds.with_features(ds, n=ds.count()).agg(e.mean("m"))),
        ("not_a_feature", lambda ds: ds.with_features(ds, m=ds.age.mean())),
        ("not_a_feature", lambda ds: ds.with_features(ds, n=ds.filter(ds.age > 1).count())),
        ("not_a_feature", lambda ds: ds.with_features(ds, n=3)),
        ("feature_needs_a_column", lambda ds: ds.with_features(ds, n=(ds.age + 1).max())),
        ("one_second_dataset", lambda ds: ds.with_features(ds, n=ds.count()).with_features(ds, m=ds.count())),
        ("rows_are_not_joined", lambda ds: ds.join(ds, on="nip")),
        ("rows_are_not_joined", lambda ds: ds.with_features("labs", n=ds.count())),
        ("not_a_statistic", lambda ds: ds.agg(ds.age.max())),
    ],
)
def test_what_is_no_feature_is_refused_with_the_closest_form(code: str, build: Any, ds: Any):
    with pytest.raises(EnclaveError) as refused:
        build(ds)
    assert refused.value.code == code
    assert refused.value.to_do


def test_a_question_with_features_runs_on_made_up_rows(ds: Any):
    women = ds.filter(ds.sex == "F")
    answer = ds.with_features(women, stays=women.count()).group_by("stays").count().on_mock(rows=400)
    assert [row["stays"] for row in answer.rows] == list(range(21))
    assert answer.rows[0]["count"]["value"] > answer.rows[3]["count"]["value"]
    assert (ds.linkable, ds.rows_per_group, ds.denominators) == (False, None, {})
