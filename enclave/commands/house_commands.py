"""`enclave up | down | status | doctor`: opening, closing and examining the house."""

import os
import signal
import time
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from enclave.commands.console import Json, language, show
from enclave.commands.dataset_commands import one_intake
from enclave.doctor import Finding, Light, examine, refuse_on_red, spoken
from enclave.errors import EnclaveError, Refused
from enclave.passphrase import HandedOver, hand_over
from enclave.recording import Actor, EventObject
from enclave.settings import Settings, read_settings
from enclave.supervisor import Supervisor, components, only_one, prepare_run_folder, running_pid
from enclave.wiring import prepare_state, recorder

DOWN_SECONDS = 60.0
MARKS = {Light.GREEN: "[green]●[/]", Light.AMBER: "[yellow]●[/]", Light.RED: "[red]●[/]"}
SUPERVISOR = Actor("supervisor", "service", "none")
HOUSE = EventObject("house", "enclave")


def up(
    *,
    quiet: Annotated[bool, typer.Option(help="Say nothing while all is well.")] = False,
) -> None:
    """Open the house and stay until Ctrl-C. Refuses while `enclave doctor` shows red.

    With keys.passphrase_from = "prompt" it asks for the passphrase first, at this terminal.

    Example: enclave up
    """
    settings = read_settings()
    console = Console(highlight=False, quiet=quiet)
    refuse_on_red(list(examine(settings)))
    with only_one(settings):
        handed = hand_over(settings, prepare_state(settings))
        prepare_run_folder(settings.run)
        _run(handed, console)


def _run(handed: HandedOver, console: Console) -> None:
    settings = handed.settings
    supervisor = Supervisor(handed, lambda name: console.print(f"[green]●[/] {name}"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, supervisor.ask_to_stop)
    trail = recorder(settings, "supervisor")
    try:
        supervisor.start_all()
        _close_interrupted(settings)
        trail.single("system.start", actor=SUPERVISOR, objects=[HOUSE])
        console.print(f"[bold]http://{settings.bind}/enclave/[/]  (Ctrl-C stops everything)")
        supervisor.watch()
    finally:
        _record_stop(settings)
        supervisor.stop_all()


def _close_interrupted(settings: Settings) -> None:
    """Close what commands and intakes left open when they were killed; the services close their own."""
    for name in ("supervisor", "command-line"):
        recorder(settings, name).close_interrupted(of_earlier_runs=True)
    with suppress(Refused), one_intake(settings):
        for name in ("intake", "compaction"):
            recorder(settings, name).close_interrupted()


def _record_stop(settings: Settings) -> None:
    """Leave a trace of the end if the trail still answers; closing never waits for a receipt."""
    try:
        recorder(settings, "supervisor").single("system.stop", actor=SUPERVISOR, objects=[HOUSE])
    except EnclaveError:
        return


def down(*, as_json: Json = False) -> None:
    """Close the house: every process stops, notebooks too.

    Example: enclave down
    """
    settings = read_settings()
    pid = running_pid(settings)
    if pid is None:
        raise Refused(
            "not_up", "The enclave does not run on this state folder.", "Start it with `enclave up`."
        )
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS
    while running_pid(settings) is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    stopped = running_pid(settings) is None
    show({"stopped": stopped}, ["stopped" if stopped else "still stopping"], as_json=as_json)


def status(*, as_json: Json = False) -> None:
    """Say which processes serve.

    Example: enclave status --json
    """
    settings = read_settings()
    serving = {component.name: component.ready() for component in components(settings)}
    pid = running_pid(settings)

    lines = [f"{MARKS[Light.GREEN if serves else Light.RED]} {name}" for name, serves in serving.items()]
    lines.append(f"supervisor: {pid or 'not running'}; address: http://{settings.bind}/")
    show({"up": all(serving.values()), "supervisor": pid, "serving": serving}, lines, as_json=as_json)
    if not all(serving.values()):
        raise typer.Exit(4)


def doctor(*, as_json: Json = False) -> None:
    """Examine the machine: one line per check, with what to do. Ends with 1 while a check is red.

    Example: enclave doctor
    """
    findings = list(examine(read_settings()))
    result = {"findings": [vars(finding) for finding in findings]}
    show(result, [_line(finding) for finding in findings], as_json=as_json)
    if any(finding.light is Light.RED for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    check, says, to_do = spoken(finding, language())
    line = f"{MARKS[finding.light]} {check:<22} {says}"
    if to_do and finding.light is not Light.GREEN:
        line += f"\n  {'':<22} [dim]→ {to_do}[/]"
    return line
