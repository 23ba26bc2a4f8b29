"""The documentation names files, tests, settings and questions that exist."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from anonymisation.estimate import Cell
from anonymisation.question import check, digest, parse
from enclave.agreements.policy import load_policy, to_table
from enclave.settings import Settings

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES_THAT_NAME_FILES = ("threat-model.md", "GLOSSARY.md", "DEVELOPERS.md", "settings.md", "verify.md")
TOP = (
    "anonymisation",
    "audit",
    "benchmarks",
    "docs",
    "enclave",
    "helm",
    "locks",
    "notebooks_image",
    "scripts",
)
PATH = re.compile(rf"(?:(?:{'|'.join((*TOP, 'tests', 'vault'))})/|\.ci/)[\w./<>-]*(?:::\w+)?")
DUTY = re.compile(r"^### (\d+)\. (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```json (?P<kind>question|answer)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
POLICIES = ROOT / "enclave" / "demo" / "policies"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def paths_in(text: str) -> list[str]:
    """Give what stands in backticks and is a path of this tree; a shell command is none."""
    quoted = re.findall(r"`([^`\n]+)`", text)
    return [one for one in quoted if PATH.fullmatch(one) and "<" not in one]


def has_test(path: str) -> bool:
    file, _, name = path.partition("::")
    return re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("name", PAGES_THAT_NAME_FILES)
def test_every_file_a_page_names_exists(name: str) -> None:
    missing = {path for path in paths_in(page(name)) if not (ROOT / path.partition("::")[0]).exists()}
    assert not missing


@pytest.mark.parametrize(
    "name", [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").iterdir())]
)
def test_every_file_a_decision_names_exists(name: str) -> None:
    assert not {path for path in paths_in(page(name)) if not (ROOT / path).exists() and "*" not in path}


def test_every_test_the_threat_model_names_exists() -> None:
    named = [path for path in paths_in(page("threat-model.md")) if "::" in path]
    assert named
    assert not [path for path in named if not has_test(path)]


def duties() -> Iterator[tuple[str, str]]:
    _, *parts = re.split(r"^### ", page("threat-model.md"), flags=re.MULTILINE)
    for part in parts:
        title, _, rest = part.partition("\n")
        yield title, rest.partition("\n## ")[0]


@pytest.mark.parametrize(
    ("title", "text"), list(duties()), ids=lambda value: value if value[0].isdigit() else ""
)
def test_every_duty_says_who_carries_it_which_test_holds_it_and_where_it_ends(title: str, text: str) -> None:
    said = dict(re.findall(r"^- \*\*([^*]+):\*\* (.*(?:\n  .*)*)", text, re.MULTILINE))
    assert list(said) == ["Against", "Stops it", "Carried by", "Fails without it", "Does not stop"]
    assert paths_in(said["Carried by"])
    assert any(path.startswith("tests/") for path in paths_in(said["Fails without it"]))


def test_duties_are_numbered_without_a_gap_and_the_guide_lists_each() -> None:
    numbers = [int(number) for number, _ in DUTY.findall(page("threat-model.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    listed = page("DEVELOPERS.md").partition("## Security duties")[2].partition("\n## ")[0]
    assert {int(number) for number in re.findall(r"\b(\d+)\b", listed)} == set(numbers)


def test_the_glossary_is_in_order_and_says_each_word_once() -> None:
    lines = [line.split("|") for line in page("GLOSSARY.md").splitlines() if line.startswith("| ")][1:]
    words = [cells[1].strip() for cells in lines]
    assert words == sorted(set(words), key=str.casefold)
    assert all(len(paths_in(cells[4])) == 1 and cells[2].strip() for cells in lines)


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


def test_the_page_of_settings_lists_every_setting_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(ENCLAVE_\w+)` \| (.+?) \|", page("settings.md"), re.MULTILINE)
    known = dict(settings_of(Settings))
    assert [name for name, _, _ in rows] == list(known)
    for name, variable, default in rows:
        assert variable == "ENCLAVE_" + name.replace(".", "__").upper()
        if known[name] and isinstance(known[name], str | int | float | Path):
            assert default == f"`{known[name]}`"


def test_the_example_of_settings_is_read() -> None:
    example = re.search(r"^```toml\n(.*?)^```$", page("settings.md"), re.MULTILINE | re.DOTALL)
    assert example is not None
    Settings.model_validate(tomllib.loads(example[1]))


def test_every_variable_the_code_reads_is_on_the_page_of_settings() -> None:
    sources = [path for top in ("enclave", "notebooks_image", "scripts") for path in (ROOT / top).rglob("*")]
    read = {
        name
        for path in sources
        if path.is_file() and path.suffix in {".py", ".sh", ".json", ""}
        for name in re.findall(r"\bENCLAVE_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    assert read
    assert not {name for name in read if f"`{name}`" not in page("settings.md").replace("=en`", "`")}


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").iterdir()), ids=lambda path: path.stem)
def test_a_decision_is_dated_and_says_context_decision_and_consequences(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# \d\d .+\n\n\d{4}-\d\d-\d\d · (accepted|superseded by \d\d)\n", text)
    assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def examples(kind: str) -> list[dict[str, Any]]:
    found = [each["text"] for each in FENCED.finditer(page("questions.md")) if each["kind"] == kind]
    assert found
    return [orjson.loads(text) for text in found]


@pytest.mark.parametrize("example", examples("question"), ids=lambda each: str(each["dataset"]))
def test_every_example_of_a_question_fits_the_demonstration(example: dict[str, Any]) -> None:
    asked = parse(example)
    named = [asked.dataset, *([] if asked.features is None else [asked.features.dataset])]
    policies = [load_policy((POLICIES / f"{name}.yaml").read_text(encoding="utf-8")) for name in named]
    check(asked, *(to_table(policy) for policy in policies))


def test_the_example_of_an_answer_is_of_the_question_before_it() -> None:
    answer, question = examples("answer")[0], examples("question")[-1]
    assert answer["question_sha256"] == digest(parse(question))
    assert answer["by"] == question["by"]
    names = {one["name"] for one in question["ask"]}
    for row in answer["rows"]:
        assert set(row) == {*question["by"], *names}
        assert all(set(row[name]) == set(Cell.__dataclass_fields__) for name in names)


def test_every_link_between_pages_leads_somewhere() -> None:
    for path in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
