"""A lost machine: what docs/backup.md says to copy is copied, all else is gone, and its steps bring the house back."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from enclave.demo import cast
from enclave.demo.cast import AUDITOR, OPERATOR, PROJECT, RESEARCHER
from enclave.demo.open_house import free_port, opened, settings_for
from enclave.demo.play_question import QUESTION
from tests.living import PATIENTS, STAYS, Lived

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
CHECK = ("dataset", "check", "--json")
DAMAGED = 5
COMPACT = ("dataset", "compact", "--all", "--confirm", "all")
NAMED = re.compile(r"`([a-z0-9/.-]+)`")


def to_copy() -> list[str]:
    """Give the files and folders the page's first table tells to copy."""
    table = PAGE.read_text().partition("## What to copy")[2].partition("\n\nCopy ")[0]
    names = [
        name for row in table.splitlines() for name in NAMED.findall(row.split("|")[1] if "|" in row else "")
    ]
    assert {"shelves/", "house.db", "keys/keyring.json"} <= set(names)
    return names


def flipped(dataset: Path) -> str:
    """Change a byte in the middle of a research part, and give the part's name."""
    part = next(one for one in sorted(dataset.glob("v*/research/*.parquet")) if one.stat().st_size > 10_000)
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    return f"research/{part.stem}"


def answered(lived: Lived, tmp_path: Path, rho: int) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "question.json"
    file.write_text(json.dumps({**QUESTION, "rho_micro": rho}))
    return lived.command("ask", "--project", PROJECT, "--file", str(file), "--json", person=RESEARCHER)


@pytest.mark.long
def test_what_the_page_says_to_copy_brings_a_lost_house_back(tmp_path: Path) -> None:
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.rename(run.with_name(run.name.lower()))
    settings = settings_for(tmp_path / "house", lower, free_port())
    with opened(settings) as house:
        stage = house.stage()
        passwords = cast.people(stage)
        cast.agreements(stage)
        cast.intake(stage, cast.deliver(settings, PATIENTS, STAYS), lambda _report: None)
        before = answered(Lived(house, passwords, []), tmp_path, 20_000)
        assert before.returncode == 0, before.stderr
        # This process holds house.db open, so what was written last stays in its -wal file, as after a crash
        assert (settings.state / "house.db-wal").stat().st_size
    passphrase = settings.passphrase_file.read_bytes()
    copy = tmp_path / "copy"
    for name in to_copy():
        source = settings.state / name
        if source.exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / name)
    shutil.rmtree(settings.state)
    settings.state.mkdir(mode=0o700)
    shutil.copytree(copy, settings.state, dirs_exist_ok=True)
    for path in (settings.state, *settings.state.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    settings.passphrase_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.passphrase_file.write_bytes(passphrase)
    settings.passphrase_file.chmod(0o600)
    with opened(settings) as house:
        lived = Lived(house, passwords, [])
        verified = lived.command("audit", "verify", person=AUDITOR)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        again = answered(lived, tmp_path, 20_000)
        assert json.loads(again.stdout)["rows"] == json.loads(before.stdout)["rows"], again.stderr
        fresh = answered(lived, tmp_path, 10_000)
        assert fresh.returncode == 0, fresh.stderr
        assert not json.loads(fresh.stdout)["replayed"]
        assert lived.command(*COMPACT, person=OPERATOR).returncode == 0
        checked = lived.command(*CHECK, person=OPERATOR)
        assert checked.returncode == 0, checked.stdout
        changed = flipped(settings.state / "shelves" / QUESTION["dataset"])
        refused = lived.command(*CHECK, person=OPERATOR)
        assert refused.returncode == DAMAGED
        wrong = [one["wrong"] for one in json.loads(refused.stdout)["checked"]]
        assert [one["code"] for one in wrong if one] == ["shelf_part_changed"]
        assert any(one and changed in one["message"] for one in wrong)
    shutil.rmtree(lower)
