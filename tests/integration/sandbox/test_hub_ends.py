"""Where a hub ends: its sandboxes with it, and a day with its output budget."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from enclave.demo.notebook_session import open_notebook
from enclave.errors import ComponentDown
from tests.integration.sandbox.conftest import running_house, sandboxes_of, signed_in, spill
from tests.integration.sandbox.house_stand_in import PASSWORD

pytestmark = pytest.mark.sandbox
Run = Callable[[Any], Any]
SMALL_BUDGET = 3_000_000


def test_the_days_output_is_counted_recorded_and_limited(run: Run) -> None:
    with running_house(SMALL_BUDGET) as house:

        async def spend() -> None:
            async with open_notebook(house.origin, "researcher-a", PASSWORD, "study-one") as notebook:
                with pytest.raises(ComponentDown, match="4403"):
                    await spill(notebook)
                answer = await notebook.request("GET", notebook.base + "api/contents")
                assert answer.status == 429
                assert "épuisé" in answer.json()["message"]

        run(spend())
        recorded = [call for call in house.calls("meter") if call["channel"] != "limit"]
        assert SMALL_BUDGET - 250_000 < sum(call["bytes"] for call in recorded) <= SMALL_BUDGET
        assert {call["channel"] for call in house.calls("meter")} >= {"websocket", "page", "limit"}
        kept = json.loads((house.state / "hub" / "output-bytes.json").read_text())
        assert kept["bytes"]["researcher-a"] == sum(call["bytes"] for call in recorded)
        assert (house.state / "hub" / "output-bytes.json").stat().st_mode & 0o777 == 0o600


def test_a_stopped_hub_leaves_no_sandbox_behind(run: Run) -> None:
    with running_house(SMALL_BUDGET) as house:

        async def story() -> None:
            async with signed_in(house, "researcher-a") as session:
                await session.start_server()
                await session.start_kernel()

        run(story())
        assert sandboxes_of(house)
        hub = house.processes[1]
        hub.send_signal(signal.SIGTERM)
        hub.wait(5)
        assert not sandboxes_of(house)
        assert house.calls("close")


def test_a_killed_hub_takes_its_sandboxes_with_it(run: Run) -> None:
    with running_house(SMALL_BUDGET) as house:

        async def story() -> None:
            async with signed_in(house, "researcher-a") as session:
                await session.start_server()
                await session.start_kernel()

        run(story())
        os.kill(house.processes[1].pid, signal.SIGKILL)
        house.processes[1].wait(5)
        end = time.monotonic() + 10
        while sandboxes_of(house) and time.monotonic() < end:
            time.sleep(0.1)
        assert not sandboxes_of(house)
