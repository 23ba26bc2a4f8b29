"""A patient objects at the command line of a real house: refused at once, removed by a compaction, whatever it is killed in."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from audit.verify import verify
from enclave.demo.cast import AUDITOR, DPO, HOSPITAL, OPERATOR, PROJECT, RESEARCHER, SEED, STEWARDS
from enclave.demo.hospital_stays import hospital_stays
from tests.living import PATIENTS, STAYS, Lived, living

POPULATION = "hospital-patients"
COUNT = {"v": 1, "dataset": HOSPITAL, "ask": [{"name": "n", "stat": "count"}]}


def told(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(lived: Lived, folder: Path, rho: int) -> Any:
    file = folder / "question.json"
    file.write_text(json.dumps({**COUNT, "rho_micro": rho}))
    return told(lived.command("ask", "--project", PROJECT, "--file", str(file), "--json", person=RESEARCHER))


def killed(lived: Lived, once: Path, *arguments: str) -> None:
    """Start a command as the operator and kill -9 it, not its children, once a folder is there."""
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(lived.passwords[OPERATOR])
        secret.flush()
        command = ["-m", "enclave", *arguments, "--as", OPERATOR, "--password-file", secret.name]
        with subprocess.Popen(
            [sys.executable, *command],
            env=lived.house.environment(),
            stdout=subprocess.DEVNULL,
        ) as process:
            while not once.exists():
                assert process.poll() is None, "it ended before"
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)


def test_a_patient_who_objects_is_counted_no_more_and_is_gone_after_the_compaction(tmp_path: Path) -> None:
    stays = hospital_stays(PATIENTS, STAYS, SEED)
    person = str(stays["nir"][0])
    secret, other = tmp_path / "nir.txt", tmp_path / "other.txt"
    secret.write_text(person + "\n")
    with living(tmp_path / "house") as lived:
        state = lived.house.settings.state
        record = ("objection", "record", "--population", POPULATION, "--file", str(secret), "--json")
        receipt = told(lived.command(*record, "--kind", "erasure", person=DPO))
        assert receipt["reached"] == [HOSPITAL]
        assert ask(lived, tmp_path, 1_001)["dataset_version"] == 1
        status = ("objection", "status", receipt["reference"], "--json")
        assert told(lived.command(*status, person=DPO))["datasets"][0]["status"] == "waits"
        compact = ("dataset", "compact", HOSPITAL, "--confirm", HOSPITAL, "--json")
        shelves = state / "shelves" / HOSPITAL
        killed(lived, shelves / "v2.partial" / "text", *compact)
        assert [path.name for path in shelves.iterdir() if path.suffix != ".partial"] == ["v1"]
        (done,) = told(lived.command(*compact, person=OPERATOR))["compacted"]
        assert (done["version"], done["rewritten"]) == (2, True)
        assert told(lived.command(*status, person=AUDITOR))["datasets"][0]["status"] == "removed"
        assert [path.name for path in shelves.iterdir()] == ["v2"]
        manifest = json.loads((shelves / "v2" / "manifest.json").read_bytes())
        left = stays.filter(pl.col("nir") != person).height
        for shelf in ("identity", "research", "text"):
            assert sum(one["rows"] for one in manifest["parts"] if one["shelf"] == shelf) == left
        assert ask(lived, tmp_path, 1_002)["dataset_version"] == 2
        back = ("objection", "withdraw", receipt["reference"], "--json", "--file")
        other.write_text(next(one for one in stays["nir"] if one != person))
        refused = lived.command(*back, str(other), person=DPO)
        assert refused.returncode == 3
        assert json.loads(refused.stderr)["error"]["code"] == "not_this_persons_objection"
        lifted = told(lived.command(*back, str(secret), person=DPO))
        assert (lifted["left_out"], lifted["datasets"][0]["status"]) == (False, "absent")
        assert lived.command("audit", "reconcile", "--json", person=AUDITOR).returncode == 0
        aside = told(lived.command("dataset", "quarantine", HOSPITAL, "--json", person=STEWARDS[0]))
        assert [one["rows"] for one in aside["versions"]] == [0, 0]
        for path in state.rglob("*"):
            if path.is_file() and "passphrase" not in path.name:
                assert person.encode() not in path.read_bytes()
    found = verify(tmp_path / "house" / "trail")
    assert (found.integrity, found.completeness) == (True, True)
