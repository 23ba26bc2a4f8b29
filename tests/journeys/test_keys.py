"""Keys rotated, backed up and destroyed at the command line of a real house, with each key service."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.verify import verify
from enclave.demo import cast
from enclave.demo.cast import OPERATOR, PROJECT, RAND, RESEARCHER, STEWARDS
from enclave.demo.open_house import free_port, opened, settings_for
from enclave.demo.play_question import QUESTION
from enclave.settings import KeySettings
from tests.integration.openbao.conftest import PROCESSES
from tests.integration.openbao.conftest import opened as open_bao
from tests.living import Lived, living

REFUSED = 3


@pytest.fixture(params=["keyring", "openbao"])
def lived(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lived]:
    """Open a house of its own: its data is destroyed."""
    if request.param == "keyring":
        with living(tmp_path / "house") as house:
            yield house
        return
    with open_bao() as bao:
        folder = tmp_path / "logins"
        folder.mkdir(mode=0o700)
        for process in PROCESSES:
            login = bao.login(process)
            for name, text in (("role-id", login.role_id), ("secret-id", login.secret_id)):
                (folder / f"{process}.{name}").write_text(text)
                (folder / f"{process}.{name}").chmod(0o600)
        keys = KeySettings(service="openbao", address=bao.address, login_folder=folder)
        with living(tmp_path / "house", keys) as house:
            yield house


def ask(lived: Lived, tmp_path: Path, rho: int) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "question.json"
    file.write_text(json.dumps({**QUESTION, "rho_micro": rho}))
    return lived.command("ask", "--project", PROJECT, "--file", str(file), "--json", person=RESEARCHER)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dataset_lives_through_a_rotation_and_ends_with_its_keys(lived: Lived, tmp_path: Path) -> None:
    first = told(ask(lived, tmp_path, 20_000))
    rotated = told(lived.command("key", "rotate", "--retire", "--json", person=OPERATOR))
    assert {one["dataset"] for one in rotated["rotated"]} == {report.dataset for report in lived.reports}
    assert told(ask(lived, tmp_path, 20_000))["rows"] == first["rows"]
    assert not told(ask(lived, tmp_path, 10_000))["replayed"]
    assert lived.command("key", "rotate", person=STEWARDS[0]).returncode == REFUSED
    told(lived.command("key", "backup", "safe-1", "--json", person=OPERATOR))
    assert lived.command("dataset", "shred", RAND, "--confirm", "other", person=OPERATOR).returncode == 2
    shred = ("dataset", "shred", RAND, "--confirm", RAND, "--json")
    assert told(lived.command(*shred, person=OPERATOR))["shredded"][0]["status"] == "pending"
    refused = ask(lived, tmp_path, 5_000)
    assert refused.returncode == REFUSED, refused.stderr
    told(lived.command("key", "destroyed", "safe-1", "--json", person=OPERATOR))
    attested = told(lived.command("key", "attest", RAND, "--json", person=OPERATOR))
    assert attested["shredded"] == [{"dataset": RAND, "version": 1, "backups": [], "status": "complete"}]
    assert not list((lived.house.settings.state / "shelves" / RAND).rglob("*.parquet"))


def test_a_house_opens_again_under_a_new_passphrase_and_not_under_the_old(tmp_path: Path) -> None:
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.rename(run.with_name(run.name.lower()))
    settings = settings_for(tmp_path / "house", lower, free_port())
    new = tmp_path / "new"
    new.write_text("several other words nobody guesses\n")
    with opened(settings) as house:
        lived = Lived(house, cast.people(house.stage()), [])
        copy = tmp_path / "keyring.json"
        told(lived.command("key", "backup", "safe-1", "--copy-to", str(copy), "--json", person=OPERATOR))
        assert copy.read_bytes() == (settings.state / "keys" / "keyring.json").read_bytes()
        for _ in range(2):
            told(lived.command("key", "passphrase", "--new-file", str(new), "--json", person=OPERATOR))
        assert lived.command("doctor").returncode == 1
    settings.passphrase_file.write_bytes(new.read_bytes())
    with opened(settings) as house:
        assert Lived(house, {}, []).command("status").returncode == 0
    found = verify(settings.state / "trail")
    assert (found.integrity, found.completeness) == (True, True)
    shutil.rmtree(lower)
