"""Every generated hostile question is refused, in words that repeat none of it; benchmarks/dp.py measures how fast."""

import orjson
import pytest

from benchmarks.privacy.hostile import (
    CODE,
    EACH,
    FAMILIES,
    GOOD,
    PATHS,
    SQL,
    Reading,
    by_api,
    corpus,
    mutations,
    refusal,
)
from enclave import messages
from enclave.web.apps import data_app

LONGEST = 400
DOCUMENTS = [*corpus()]


def test_the_corpus_is_large_and_the_same_every_time() -> None:
    assert len(DOCUMENTS) == EACH * len(FAMILIES) >= 200
    assert len(set(DOCUMENTS)) > len(DOCUMENTS) / 2
    assert [*corpus()] == DOCUMENTS


@pytest.mark.parametrize("family", FAMILIES)
def test_a_hostile_question_is_refused_in_both_languages_and_repeats_nothing(family: str) -> None:
    for raw in (raw for name, raw in DOCUMENTS if name == family):
        error = refusal(raw)
        assert error is not None, raw[:200]
        for spoken in ("fr", "en"):
            told = messages.error(error, spoken)
            said = f"{told['message']} {told['to_do']}"
            assert told["code"] == error.code
            assert 20 < len(said) <= LONGEST
            assert not [text for text in (*SQL, *PATHS, *CODE) if text in said]


def test_a_good_question_with_its_worst_nodes_is_a_question_or_a_refusal() -> None:
    refused = [refusal(raw) for raw in mutations()]
    assert sum(error is not None for error in refused) >= 150


@pytest.mark.parametrize("family", FAMILIES)
def test_the_notebooks_api_refuses_it_too(family: str) -> None:
    app = data_app(Reading())
    for raw in [raw for name, raw in DOCUMENTS if name == family][:5]:
        by_api(app, raw)


def test_the_good_question_they_are_made_from_is_one() -> None:
    assert refusal(orjson.dumps(GOOD)) is None
