"""A compaction killed at any moment: the house has the old version or the new one, whole, and finishes when asked again."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from anonymisation.bounds import UNIT
from tests.unit.journeys.objecting_house import ROWS, ObjectingHouse, objecting_house
from tests.unit.vault.helpers import PASSPHRASE
from vault.errors import VaultError
from vault.keyring import create_keyring

ROOT = Path(__file__).parents[3]
# Loads everything once, then at each word forks a process in which the next person objects and the dataset is compacted,
# and says so; says "gone" when that process has ended or was killed.
COMPACTING = """
import os, sys
from pathlib import Path
from tests.unit.intake.intake_house import nir
from tests.unit.journeys.objecting_house import objecting_house

def compact(state, keyring, person):
    house = objecting_house(state, keyring)
    house.object(nir(person))
    print("objected", os.getpid(), flush=True)
    house.compact()
    print("compacted", person, flush=True)

state, keyring = map(Path, sys.argv[1:])
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        compact(state, keyring, int(line))
        os._exit(0)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def one(parent: "subprocess.Popen[str]", person: int, wait: float | None) -> tuple[bool, float]:
    """Have the next person's objection compacted, kill -9 it after a while or never; tell whether it ended, and when."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(f"{person}\n")
    parent.stdin.flush()
    said, pid = parent.stdout.readline().split()
    start = time.perf_counter()
    assert said == "objected"
    if wait is not None:
        time.sleep(wait)
        with suppress(ProcessLookupError):  # it was quicker
            os.kill(int(pid), signal.SIGKILL)
    told = []
    while not (line := parent.stdout.readline()).startswith("gone"):
        told.append(line.split()[0])
    return told == ["compacted"], time.perf_counter() - start


def people(house: ObjectingHouse) -> int:
    """Count the people of the current version: every shelf of it opens, and holds the same rows."""
    shelves = [house.held(shelf) for shelf in ("identity", "research", "text")]
    assert len({tuple(shelf[UNIT]) for shelf in shelves}) == 1
    return shelves[0][UNIT].n_unique()


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_kill_9_at_any_moment_leaves_one_whole_version_and_the_next_compaction_finishes(
    tmp_path: Path, kills: int
) -> None:
    state, keyring = tmp_path / "state", tmp_path / "keyring.json"
    create_keyring(keyring, PASSPHRASE)
    house = objecting_house(state, keyring)
    house.bring(max(ROWS, 3 * kills + 60))
    everybody = people(house)
    house.close()
    chance = random.Random(20_261_125)
    command = [sys.executable, "-c", COMPACTING, str(state), str(keyring)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        whole = [one(parent, person, None)[1] for person in range(2)][-1]  # the first one still warms up
        for person in range(2, kills + 2):
            # a moment of each stretch of a whole compaction
            done, _ = one(parent, person, whole * (person - 1 - chance.random()) / kills)
            house = objecting_house(state, keyring)
            assert people(house) <= everybody
            assert not done or people(house) == everybody - person - 1
            house.close()
        assert parent.stdin is not None
        parent.stdin.close()
    house = objecting_house(state, keyring)
    last = house.compact()
    assert people(house) == everybody - kills - 2
    assert [path.name for path in (house.root / "stays").iterdir()] == [f"v{last.version}"]
    for version in house.intake.tools.agreements.versions("stays"):
        assert version.shredded == (version.version != last.version)
        if version.shredded:
            with pytest.raises(VaultError):
                house.intake.shelf("research", version.version)
    house.close()
