"""docs/interfaces.md against the code: the lines that can be checked without starting anything."""

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from anonymisation.disclosure.policy import DisclosurePolicy
from anonymisation.disclosure.report import Verdict
from anonymisation.disclosure.scan import check_files
from anonymisation.estimate import Cell
from anonymisation.form import Ask, Feature, Features, Let, Question, Unit
from anonymisation.receipt import Receipt as AnonymisationReceipt
from audit.event import TYPES
from enclave.agreements import policy
from enclave.errors import EXIT_CODE, EXIT_NOT_PASSED
from enclave.hub.roles import ROLES
from enclave.people import Role
from enclave.receipt import Receipt as HouseReceipt
from enclave.settings import RUN_PATH_MAX, Settings
from vault.manifest import Manifest, Part
from vault.package import BESIDE
from vault.receipt import Receipt as VaultReceipt

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "interfaces.md").read_text(encoding="utf-8")
LINES = {int(number): line for number, line in re.findall(r"^(\d+)\. (.+)$", TEXT, re.MULTILINE)}


def quoted(number: int) -> str:
    """Give the first backticked piece of a line."""
    found = re.search(r"`([^`]+)`", LINES[number])
    assert found is not None
    return found[1]


def keys_of(text: str) -> list[str]:
    """Give the names of `{"name","other"?: ...}` in order."""
    return re.findall(r'"(\w+)"', text)


def wire_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def test_lines_are_numbered_without_a_gap() -> None:
    assert list(LINES) == list(range(1, len(LINES) + 1))


def test_code_and_pages_cite_lines_that_exist() -> None:
    packages = ("anonymisation", "audit", "enclave", "vault", "notebooks_image", "tests")
    sources = [path for name in packages for path in (ROOT / name).rglob("*.py")]
    cited = {
        int(number)
        for path in [*sources, *(ROOT / "docs").rglob("*.md")]
        for number in re.findall(r"\binterfaces(?:\.md,)? (\d+)", path.read_text(encoding="utf-8"))
    }
    assert cited
    assert cited <= set(LINES)


def test_the_run_folder_and_the_listener_are_those_told() -> None:
    assert f"at most {RUN_PATH_MAX} characters" in LINES[2]
    assert f"`{Settings.model_fields['bind'].default}`" in LINES[3]


def test_ids_have_the_pattern_told() -> None:
    pattern = re.search(r"`(\[a-z\][^`]+)`", LINES[5])
    assert pattern is not None
    slug: TypeAdapter[str] = TypeAdapter(policy.Slug)
    for text in ("a", "researcher-a", "a" * 30, "A", "1a", "a" * 31, "a_b", ""):
        fits = re.fullmatch(pattern[1], text) is not None
        try:
            slug.validate_python(text)
        except ValidationError:
            assert not fits
        else:
            assert fits


@pytest.mark.parametrize("receipt", [HouseReceipt, VaultReceipt, AnonymisationReceipt])
def test_every_tool_asks_for_the_receipt_told(receipt: type) -> None:
    told = set(re.findall(r"`(\w+): ", LINES[8]))
    assert {name for name, _ in inspect.getmembers(receipt, lambda one: isinstance(one, property))} == told


def test_the_closed_list_of_event_types_is_the_codes() -> None:
    assert set(re.findall(r"`([a-z]+\.[a-z]+)`", LINES[9].partition("Types:")[2])) == TYPES


def test_a_question_has_the_fields_told() -> None:
    told = keys_of(quoted(11))
    models: tuple[type[BaseModel], ...] = (Question, Features, Feature, Let, Unit, Ask)
    assert set(told) == {name for model in models for name in model.model_fields}


def test_an_answer_has_the_cells_told() -> None:
    cell = re.search(r"name:\{([^}]+)\}", LINES[12])
    assert cell is not None
    assert keys_of(cell[1]) == list(Cell.__dataclass_fields__)


def test_a_dataset_policy_has_the_fields_told() -> None:
    told = quoted(13)
    top = re.sub(r": (\[?\{[^}]*\}\]?)", "", told).split(", ")
    assert top == wire_names(policy.DatasetPolicy)
    parts: dict[str, type[BaseModel]] = {
        "unit": policy.Unit,
        "columns": policy.PolicyColumn,
        "privacy": policy.Privacy,
        "disclosure": policy.Disclosure,
        "denominators": policy.Denominator,
    }
    for name, model in parts.items():
        inner = re.search(rf"{name}: \[?\{{([^}}]*)\}}", told)
        assert inner is not None
        assert set(re.split(r", |\|", inner[1])) == set(wire_names(model))


def test_a_manifest_has_the_fields_told() -> None:
    told = re.search(r"`\{(.+?)\}`", LINES[14])
    assert told is not None
    top = re.sub(r":\[\{[^}]*\}\]|:\{[^}]*\}", "", told[1]).split(", ")
    assert set(top) == set(wire_names(Manifest))
    parts = re.search(r"parts:\[\{([^}]*)\}", told[1])
    assert parts is not None
    assert parts[1].split(", ") == list(Part.model_fields)


def test_exit_codes_are_those_told() -> None:
    told = dict(re.findall(r"(\d) (done|checked|usage|refused|a component is down|damaged)", LINES[18]))
    assert told == {
        "0": "done",
        str(EXIT_NOT_PASSED): "checked",
        str(EXIT_CODE["usage"]): "usage",
        str(EXIT_CODE["refused"]): "refused",
        str(EXIT_CODE["down"]): "a component is down",
        str(EXIT_CODE["damaged"]): "damaged",
    }


def commands(app: Any) -> dict[str, Any]:
    """Give the commands of a typer application by name, groups as `group command`."""
    own = {one.name or one.callback.__name__.replace("_", "-"): one for one in app.registered_commands}
    for group in app.registered_groups:
        callback = group.typer_instance.registered_callback
        if callback is not None and group.typer_instance.info.invoke_without_command is True:
            own[group.name] = callback
        own |= {f"{group.name} {name}": one for name, one in commands(group.typer_instance).items()}
    return own


def told_commands(program: str) -> set[str]:
    today = LINES[19].partition("Names kept")[0]
    found = re.findall(rf"`{program} ([a-z|]+)(?: ([a-z|]+))?`", today)
    return {
        f"{first} {second}".strip()
        for firsts, seconds in found
        for first in firsts.split("|")
        for second in (seconds.split("|") if seconds else [""])
    }


def test_the_commands_are_those_told() -> None:
    from audit.__main__ import app as audit_app
    from enclave.__main__ import app

    assert told_commands("enclave") == set(commands(app))
    assert told_commands("python -m audit") == set(commands(audit_app))


def test_a_check_report_has_the_form_told() -> None:
    told = keys_of(quoted(20))
    report = check_files({"table.csv": b"service;effectif\ncardio;3\n"}, DisclosurePolicy()).to_json()
    (file,) = report["files"]
    names = {*report, *report["policy"], *file, *file["findings"][0]}
    assert names == set(told)
    assert set(get_args(Verdict)) == set(re.findall(r"verdict (\w+) \| (\w+) \| (\w+)", LINES[20])[0])


def test_the_labels_told_are_those_the_patterns_give() -> None:
    source = (ROOT / "anonymisation" / "identifiers" / "patterns.py").read_text(encoding="utf-8")
    given = set(re.findall(r'"([A-Z]{2,8})"(?=[,)]| if)', source)) | set(
        re.findall(r'else "([A-Z]+)"', source)
    )
    told = set(re.findall(r"`([A-Z]+)`", LINES[21]))
    assert told == given


def test_what_lies_beside_a_bag_is_told() -> None:
    assert set(BESIDE) == set(
        re.findall(r"`([\w.-]+)`", LINES[22].partition("Order:")[0].partition("beside")[2])
    )


def test_roles_are_those_told_and_the_hub_knows_each() -> None:
    told = re.match(r"\*\*Roles\*\*: ([a-z_, ]+)\.", LINES[23])
    assert told is not None
    assert told[1].split(", ") == [role.value for role in Role] == list(ROLES)
