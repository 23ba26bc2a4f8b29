"""`scripts/demo --check`: the four journeys played without a person, each promise looked at and told."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from enclave.demo.cast import PROJECT, RESEARCHER
from enclave.demo.notebook_session import open_notebook
from enclave.demo.open_house import OpenHouse, free_port, opened, settings_for
from enclave.demo.play import Play
from enclave.demo.play_intake import settle
from enclave.demo.play_question import in_the_notebook, on_the_command_line, ways_out
from enclave.demo.play_release import reviewed, submitted
from enclave.demo.play_scrutiny import closed, verified
from enclave.demo.promises import Promises
from enclave.doctor import Light, examine
from enclave.settings import Settings


def check(*, keep: Path | None, as_json: bool) -> int:
    """Play everything in a house of its own; gives the exit code."""
    console = Console(highlight=False, stderr=as_json, soft_wrap=True)
    base = keep or Path(tempfile.mkdtemp(prefix="enclave-check-"))
    run = Path(tempfile.mkdtemp(prefix="enc-"))
    lower = run.with_name(run.name.lower())
    run.rename(lower)
    settings = settings_for(base / "state", lower, free_port())
    promises = Promises(console)
    try:
        _play(settings, promises)
    except Exception as problem:  # noqa: BLE001 - whatever broke the play is told, with the end of each log
        console.print(f"[bold red]{type(problem).__name__}[/]: {problem}")
        _show_logs(console, settings)
        return 1
    finally:
        shutil.rmtree(lower, ignore_errors=True)
        if keep is None:
            shutil.rmtree(base, ignore_errors=True)
    console.print(f"[bold green]{len(promises.kept)} promises held[/] in {promises.seconds} s")
    if as_json:
        sys.stdout.write(
            json.dumps({"ok": True, "seconds": promises.seconds, "promises": promises.kept}) + "\n"
        )
    return 0


def _show_logs(console: Console, settings: Settings) -> None:
    for log in sorted((settings.state / "logs").glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-8:]
        console.print(f"[dim]{log.name}[/]", *lines, sep="\n")


def _play(settings: Settings, promises: Promises) -> None:
    _doctor(settings, promises)
    with opened(settings) as house:
        play = settle(house, promises)
        on_the_command_line(play, house)
        asyncio.run(in_the_notebook_and_at_the_desk(play, house))
        verified(play, house)
    closed(settings, promises, play)


def _doctor(settings: Settings, promises: Promises) -> None:
    with promises.promise("The machine is fit") as seen:
        findings = list(examine(settings))
        red = [f"{one.check}: {one.says}" for one in findings if one.light is Light.RED]
        seen.that(not red, "; ".join(red))
        lights = [one.light for one in findings]
        seen.tell(f"{lights.count(Light.GREEN)} green, {lights.count(Light.AMBER)} amber")


async def in_the_notebook_and_at_the_desk(play: Play, house: OpenHouse) -> None:
    """Ask from a kernel, try every way out, submit two tables, and have one approved and taken out."""
    async with open_notebook(house.origin, RESEARCHER, play.passwords[RESEARCHER], PROJECT) as notebook:
        await in_the_notebook(play, notebook)
        await ways_out(play, notebook)
        good, bad = await submitted(play, notebook)
    await reviewed(play, house, good, bad)
