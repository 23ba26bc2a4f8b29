"""What the process that rewrites a shelf says, as the operator's process hears it."""

import os

import pytest

from enclave import shelf_rewriter
from enclave.commands import objection_commands
from enclave.errors import BadInput, ComponentDown, Damaged
from enclave.journeys.compaction import ShelfJob
from enclave.shelf_rewriter import rewrite_apart


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf_rewriter, "MODULE", "tests.unit.enclave.rewriters_for_tests")


def job(dataset: str) -> ShelfJob:
    return ShelfJob(
        shelf="research",
        dataset=dataset,
        version=1,
        manifest_sha256="a" * 64,
        as_version=2,
        folder="v2.partial",
        population="people",
        id_type="nir",
        objections=1,
        entries=None,
        by="operator-a",
        role="operator",
        auth="password",
    )


def test_how_far_it_is_and_what_it_wrote_are_heard() -> None:
    told: list[tuple[str, int, int]] = []
    done = rewrite_apart(job("well"), lambda *at: told.append(at))
    assert (done.entries, done.rewritten.shelf) == (3, "research")
    assert told == [("research", 2, 2)]


def test_its_process_alone_inherits_what_it_is_given() -> None:
    memory = os.memfd_create("passphrase")
    os.write(memory, b"several words")
    given = {"ENCLAVE_KEYS__PASSPHRASE_FILE": f"/proc/self/fd/{memory}"}
    done = rewrite_apart(job("reads"), lambda *_: None, environment=given, descriptors=(memory,))
    assert done.rewritten.wrapped_key == "several words"
    with pytest.raises(ComponentDown):
        rewrite_apart(job("reads"), lambda *_: None, environment=given)
    os.close(memory)


def test_its_refusal_keeps_its_kind_and_its_words() -> None:
    with pytest.raises(Damaged) as damaged:
        rewrite_apart(job("damaged"), lambda *_: None)
    assert (damaged.value.code, damaged.value.to_do) == ("shelf_part_damaged", "Restore it.")
    assert damaged.value.params == {"part": "research/part-00000"}


def test_a_process_that_ends_without_a_word_is_a_part_that_is_down() -> None:
    with pytest.raises(ComponentDown) as down:
        rewrite_apart(job("silent"), lambda *_: None)
    assert down.value.code == "compaction_process_ended"


def test_one_that_is_interrupted_leaves_no_process_behind() -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrite_apart(job("well"), stop)


@pytest.mark.parametrize(
    ("typed", "code"), [(["1", "2"], "identifier_typed_differently"), (["1", "1"], None)]
)
def test_an_identifier_is_typed_twice_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: list[str], code: str | None
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: typed.pop(0))
    if code is None:
        assert objection_commands._identifier(None) == "1"
    else:
        with pytest.raises(BadInput) as refused:
            objection_commands._identifier(None)
        assert refused.value.code == code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "\n\n", "1\n2\n"])
def test_a_file_holds_one_identifier(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        objection_commands._only_line(text)
    assert refused.value.code == "identifier_not_one"
    assert objection_commands._only_line(" 1 \n\n") == "1"
