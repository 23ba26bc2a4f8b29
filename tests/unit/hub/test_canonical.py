"""One address, one meaning: hostile spellings are refused, the others are written in one way."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import BadInput
from enclave.hub.canonical import SEGMENTS_MAX, TARGET_CHARACTERS_MAX, read_target

VECTORS = Path(__file__).parents[2] / "vectors" / "paths"


def rows(name: str) -> list[tuple[str, str]]:
    lines = (VECTORS / name).read_text(encoding="utf-8").splitlines()
    return [(line.split("\t")[0], line.split("\t")[1]) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(("raw", "why"), rows("hostile.txt"), ids=lambda text: text)
def test_a_hostile_spelling_is_refused(raw: str, why: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_target(raw)
    assert raw not in refused.value.message


@pytest.mark.parametrize(("raw", "canonical"), rows("same.txt"), ids=lambda text: text)
def test_every_spelling_becomes_the_one(raw: str, canonical: str) -> None:
    assert read_target(raw).path == canonical


def test_too_long_and_too_deep_are_refused() -> None:
    for raw in ("/" + "a" * TARGET_CHARACTERS_MAX, "/a" * (SEGMENTS_MAX + 1)):
        with pytest.raises(BadInput):
            read_target(raw)


@settings(max_examples=300)
@given(st.text())
def test_reading_ends_in_a_target_or_a_refusal_and_is_stable(raw: str) -> None:
    try:
        target = read_target(raw)
    except BadInput:
        return
    again = read_target(target.path)
    assert (again.path, again.segments) == (target.path, target.segments)


@settings(max_examples=300)
@given(st.lists(st.text(alphabet=".%/\\2eE5fF\0 aé", min_size=1, max_size=6), min_size=1, max_size=4))
def test_no_spelling_of_a_name_leads_to_a_parent(names: list[str]) -> None:
    for spelt in ("/".join(names), "/".join(quote(name, safe="") for name in names)):
        try:
            target = read_target(f"/{spelt}")
        except BadInput:
            continue
        assert not {"..", "."} & set(target.segments)
        assert not any("/" in segment or "\\" in segment or "\0" in segment for segment in target.segments)
