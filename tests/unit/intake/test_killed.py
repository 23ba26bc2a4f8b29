"""An intake killed at any moment: whole versions only, and none that was reported is ever missing a row."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.intake.intake_house import HEADER, csv, intake_house, row

ROOT = Path(__file__).parents[3]
ROWS = 400
# Loads everything once, then at each word forks a process that brings the same file in again and again, and says so
# each time it was told that the rows are stored; says "gone" when that process has been killed.
BRINGING = """
import os, sys
from pathlib import Path
from tests.unit.intake.intake_house import intake_house
from vault import version

def bring(state, keyring, source):
    version.SPILL_ROWS = 100
    house = intake_house(state, keyring)
    print("ready", os.getpid(), flush=True)
    while True:
        report = house.bring(house.file(source.read_bytes()))
        print(report.version, report.stored, flush=True)

while sys.stdin.readline():
    child = os.fork()
    if child == 0:
        bring(*map(Path, sys.argv[1:]))
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def kill_one(parent: "subprocess.Popen[str]", wait: float) -> dict[int, int]:
    """Have a process bring in, kill -9 it after a while, and give what it had reported stored."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("go\n")
    parent.stdin.flush()
    ready, pid = parent.stdout.readline().split()
    assert ready == "ready"
    time.sleep(wait)
    os.kill(int(pid), signal.SIGKILL)
    told = []
    while not (line := parent.stdout.readline()).endswith("gone\n"):
        told.append(line.split())
    return {int(version): int(stored) for version, stored in told}


@pytest.mark.parametrize(
    "kills", [20, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_kill_9_at_any_moment_leaves_whole_versions_and_loses_no_reported_row(
    tmp_path: Path, keyring: Path, kills: int
) -> None:
    source = tmp_path / "stays.csv"
    bad = (row(ROWS, sex="X"), row(ROWS + 1, nights="many"))
    source.write_bytes(csv([*(row(number) for number in range(ROWS)), *bad]))
    chance = random.Random(20_261_125)
    reported: dict[int, int] = {}
    state = tmp_path / "state"
    intake_house(state, keyring).recorder.close()
    command = [sys.executable, "-c", BRINGING, *map(str, (state, keyring, source))]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        for _ in range(kills):
            reported |= kill_one(parent, chance.uniform(0, 0.6))
            house = intake_house(state, keyring)
            house.recorder.close()
            assert set(reported) <= {one.version for one in house.tools.agreements.versions("stays")}
        assert parent.stdin is not None
        parent.stdin.close()
    house = intake_house(state, keyring)
    last = house.bring(house.file(source.read_bytes()))
    assert last.version > len(reported)
    assert not house.left_over()
    for version in range(1, last.version + 1):
        assert house.shelf("research", version).height == ROWS
        assert house.shelf("identity", version).width == len(HEADER[:3]) + 1
    assert all(stored == ROWS for stored in reported.values())
    assert reported
    assert house.verified()
    house.recorder.close()
