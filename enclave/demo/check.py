"""`scripts/demo --check`: the four journeys played without a person, each promise looked at and told."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from rich.console import Console

from audit.verify import verify
from enclave.demo import cast
from enclave.demo.cast import (
    AUDITOR,
    HOSPITAL,
    OTHER_RESEARCHER,
    PROJECT,
    RAND,
    RESEARCHER,
    STEWARDS,
    Passwords,
)
from enclave.demo.notebook_session import CellOutput, NotebookSession, open_notebook
from enclave.demo.open_house import OpenHouse, free_port, opened, settings_for
from enclave.demo.page_visit import PAGES, at_the_pages
from enclave.demo.promises import Promises, Seen
from enclave.demo.ways_out import CELLS, CLOSED_STATUSES, PRELUDE, REFUSED, TWO_HANDED, WEB, ask_web, run_cell
from enclave.doctor import Light, examine
from enclave.journeys.intake import IntakeReport
from enclave.settings import Settings

# Six standard deviations: a false alarm in a thousand million checks.
SIGMAS: Final = 6 / 1.96
REQUEST_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
TAMPERED: Final = 5
QUESTION: Final = {
    "v": 1,
    "dataset": RAND,
    "by": ["hlthp"],
    "ask": [
        {"name": "rows", "stat": "count"},
        {"name": "visits", "stat": "mean", "column": "mdvis", "low": "0", "high": "30"},
    ],
    "rho_micro": 20_000,
}
CELL: Final = """
import enclave_client as enclave
ds = enclave.dataset("hospital-stays")
q = ds.filter(ds.cim10 == "I50").group_by("sex").agg(
    enclave.count("stays"), enclave.mean("length_of_stay", 0, 40), enclave.sum("cost", 0, 10000))
"""


@dataclass
class Play:
    """The check as it goes: the house, who is who, what was seen."""

    settings: Settings
    promises: Promises
    truth: pl.DataFrame
    passwords: Passwords

    def command(
        self, house: OpenHouse, *arguments: str, person: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `enclave ...` as a person would."""
        command = [sys.executable, "-m", "enclave", *arguments]
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as secret:
            if person is not None:
                secret.write(self.passwords[person])
                secret.flush()
                command += ["--as", person, "--password-file", secret.name]
            return subprocess.run(
                command, env=house.environment(), capture_output=True, text=True, check=False
            )


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
    except Exception as problem:
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
        play = _settle(house, promises)
        _questions_on_the_command_line(play, house)
        asyncio.run(_in_the_notebook_and_at_the_desk(play, house))
        _scrutiny(play, house)
    _closed(settings, promises, play)


def _doctor(settings: Settings, promises: Promises) -> None:
    with promises.promise("The machine is fit") as seen:
        findings = list(examine(settings))
        red = [f"{one.check}: {one.says}" for one in findings if one.light is Light.RED]
        seen.that(not red, "; ".join(red))
        lights = [one.light for one in findings]
        seen.tell(f"{lights.count(Light.GREEN)} green, {lights.count(Light.AMBER)} amber")


def _settle(house: OpenHouse, promises: Promises) -> Play:
    stage = house.stage()
    with promises.promise("People, partner, project and agreements are entered, each act in the trail"):
        passwords = cast.people(stage)
        cast.agreements(stage)
    files = cast.deliver(house.settings)
    truth = pl.read_csv(files[HOSPITAL], separator=";", infer_schema_length=10_000)
    play = Play(house.settings, promises, truth, passwords)
    _classified(play, house, files[HOSPITAL])
    with promises.promise("Partner files come in encrypted; the inbox copy is gone") as seen:
        reports: list[IntakeReport] = []
        cast.intake(stage, files, reports.append)
        seen.that(not any(file.exists() for file in files.values()), "a plain file is still in the inbox")
        seen.that(all(report.aside == 0 for report in reports), "rows were put aside")
        seen.tell(", ".join(f"{one.dataset} {one.stored:,} rows of {one.units:,} units" for one in reports))
    return play


def _classified(play: Play, house: OpenHouse, file: Path) -> None:
    with play.promises.promise("Columns are classified by header and values") as seen:
        told = play.command(
            house,
            "dataset",
            "classify",
            str(file),
            "--dataset",
            HOSPITAL,
            "--population",
            "hospital-patients",
            "--unit",
            "nir",
            "--json",
        )
        found = {one["name"]: one["class"] for one in json.loads(told.stdout)["columns"]}
        for column in ("nir", "last_name", "first_name", "birth_date"):
            seen.that(found[column] == "direct", f"{column} was not recognised as a direct identifier")
        seen.that(found["note"] == "free_text", "the note was not recognised as free text")
        seen.tell(", ".join(f"{name} {kind}" for name, kind in list(found.items())[:5]) + ", ...")


def _questions_on_the_command_line(play: Play, house: OpenHouse) -> None:
    file = play.settings.state / "question.json"
    file.write_text(json.dumps(QUESTION))
    asked = ("--project", PROJECT, "--file", str(file), "--json")
    with play.promises.promise(
        "A price and an expected accuracy are shown before anything is opened"
    ) as seen:
        price = json.loads(play.command(house, "price", *asked, person=RESEARCHER).stdout)
        seen.that(price["rho_micro"] == QUESTION["rho_micro"], "the price is not what was offered")
        seen.tell(
            f"{price['rho_micro']} micro-rho, "
            + ", ".join(f"{a['name']} ± {a['plus_minus']:.3g}" for a in price["accuracy"])
        )
    with play.promises.promise("A question about real data is answered with intervals") as seen:
        answer = json.loads(play.command(house, "ask", *asked, person=RESEARCHER).stdout)
        seen.that(len(answer["rows"]) == 2, "the answer has not a row for each declared value")
        seen.that("ligne" in answer["words"]["fr"], "the answer does not say that its unit is the row")
        seen.tell(answer["words"]["en"])
    file.unlink()


async def _in_the_notebook_and_at_the_desk(play: Play, house: OpenHouse) -> None:
    async with open_notebook(house.origin, RESEARCHER, play.passwords[RESEARCHER], PROJECT) as notebook:
        await _asks(play, notebook)
        await _ways_out(play, notebook)
        good, bad = await _submits(play, notebook)
    await _reviews(play, house, good, bad)


async def _asks(play: Play, notebook: NotebookSession) -> None:
    with play.promises.promise(
        "A kernel behind two sandboxes asks, and its intervals hold the truth"
    ) as seen:
        await _said(notebook, CELL)
        rows = json.loads(
            (
                await _said(
                    notebook, "import json; a = q.ask(rho=0.02); print(json.dumps(a.to_json()['rows']))"
                )
            ).text
        )
        for row in rows:
            _holds_the_truth(
                seen, play.truth.filter((pl.col("cim10") == "I50") & (pl.col("sex") == row["sex"])), row
            )
        seen.tell((await _said(notebook, "print(a.words)")).text.strip().split("\n")[0])
    with play.promises.promise("The same question again is the same answer, free") as seen:
        again = await _said(
            notebook,
            "b = q.ask(rho=0.02); print(b.to_json()['rows'] == a.to_json()['rows'], b.to_json()['replayed'])",
        )
        seen.that(again.text.split() == ["True", "True"], f"the replay differed: {again.text}")
    with play.promises.promise("A spent budget is refused, and nothing is charged for the refusal") as seen:
        before = (await _said(notebook, "print(enclave.budget().to_json())")).text
        refused = await notebook.run("q.ask(rho=5)")
        seen.that(bool(refused.error), "more than the budget was answered")
        seen.that(
            (await _said(notebook, "print(enclave.budget().to_json())")).text == before,
            "the refusal was charged",
        )
        seen.tell(refused.text.strip().splitlines()[-1])


def _holds_the_truth(seen: Seen, stays: pl.DataFrame, row: dict[str, Any]) -> None:
    """Compare with the exact figures; bounding drops the 9th and later stays of one patient."""
    kept = stays.with_row_index().filter(pl.col("index").cum_count().over("nir") <= 8)
    _near(seen, "stays", row["stays"], kept.height)
    cost = kept["cost"].clip(0, 10_000).sum()
    _near(seen, "cost", row["cost"], cost, slack=(stays.height - kept.height) * 10_000)


def _near(seen: Seen, name: str, cell: dict[str, Any], truth: float, slack: float = 0) -> None:
    half = (cell["noise_high"] - cell["noise_low"]) / 2 * SIGMAS + slack
    seen.that(abs(cell["value"] - truth) <= half, f"{name} is further from the truth than its noise explains")


async def _said(notebook: NotebookSession, code: str) -> CellOutput:
    output = await notebook.run(code)
    if output.error:
        raise AssertionError(f"a cell failed: {output.text[-600:]}")
    return output


async def _ways_out(play: Play, notebook: NotebookSession) -> None:
    with play.promises.promise("No way out of the notebook") as seen:
        await notebook.run(PRELUDE)
        for probe in CELLS:
            seen.that((await run_cell(notebook, probe)).startswith(REFUSED), f"open: {probe.name}")
        for web in WEB:
            seen.that(await ask_web(notebook, web) in CLOSED_STATUSES, f"open: {web.name}")
        for name, attempt in TWO_HANDED.items():
            seen.that((await attempt(notebook)).startswith(REFUSED), f"open: {name}")
        seen.tell(
            f"{len(CELLS)} from a cell, {len(WEB)} from the browser, {len(TWO_HANDED)} with both, all refused"
        )


async def _submits(play: Play, notebook: NotebookSession) -> tuple[str, str]:
    with play.promises.promise("A good table passes the checks, a row-level extract is blocked") as seen:
        await _said(notebook, CELL)
        await _said(
            notebook,
            "open('bad.csv', 'w').write('nir;service;n\\n' + ''.join(f'2{i:02d}0159001001;cardio;{i % 4}\\n' for i in range(60)))\n"
            "open('good.csv', 'w').write('sexe;stays\\n' + ''.join(f\"{r['sex']};{r['stays']['value']}\\n\" for r in q.ask(rho=0.02).to_json()['rows']))",
        )
        bad = (
            await _said(
                notebook,
                "r = enclave.submit('bad.csv', title='Extrait', purpose='essai'); print(r.id, r.status)",
            )
        ).text.split()
        good = (
            await _said(
                notebook,
                "r = enclave.submit('good.csv', title='Tableau 1', purpose='article'); print(r.id, r.status)",
            )
        ).text.split()
        seen.that(bad[1] == "BLOCKED", f"the extract is {bad[1]}")
        seen.that(good[1] == "IN_REVIEW", f"the good table is {good[1]}")
        seen.tell(f"{good[1]}, {bad[1]}")
    return good[0], bad[0]


async def _reviews(play: Play, house: OpenHouse, good: str, bad: str) -> None:
    with play.promises.promise(
        "Two stewards, blind to each other, approve; the author and a stranger cannot"
    ) as seen:
        await _author_cannot(play, house, good, seen)
        for position, steward in enumerate(STEWARDS):
            async with at_the_pages(house.origin, steward, play.passwords[steward]) as visit:
                page = await visit.open(f"{PAGES}requests/{good}")
                seen.that(
                    position == 0 or STEWARDS[0] not in page.words,
                    "the second steward saw the first one's vote",
                )
                for sha256 in sorted(set(re.findall(rf"{good}/files/([0-9a-f]{{64}})", page.text))):
                    shown = await visit.open(f"{PAGES}requests/{good}/files/{sha256}")
                    seen.that(shown.status == 200, "the file could not be looked at")
                    await visit.send(f"{PAGES}requests/{good}/files/{sha256}/vote", choice="approve")
    with play.promises.promise(
        "The release is sealed; the author downloads it and checks it with other people's tools"
    ) as seen:
        async with at_the_pages(house.origin, STEWARDS[0], play.passwords[STEWARDS[0]]) as visit:
            await visit.open(f"{PAGES}requests/{good}")
            await visit.send(f"{PAGES}requests/{good}/package")
        async with at_the_pages(house.origin, RESEARCHER, play.passwords[RESEARCHER]) as visit:
            await visit.open(f"{PAGES}requests/{good}")
            taken = await visit.send(f"{PAGES}requests/{good}/download")
            refused = await visit.send(f"{PAGES}requests/{bad}/download")
        seen.that(taken.status == 200, f"the download answered {taken.status}")
        seen.that(refused.status in CLOSED_STATUSES, "a blocked request was handed out")
        seen.tell(_verified_elsewhere(taken.body, good, seen))


async def _author_cannot(play: Play, house: OpenHouse, request: str, seen: Seen) -> None:
    async with at_the_pages(house.origin, RESEARCHER, play.passwords[RESEARCHER]) as visit:
        page = await visit.open(f"{PAGES}requests/{request}")
        digests = set(re.findall(r"\b[0-9a-f]{64}\b", page.text))
        for sha256 in digests:
            sent = await visit.send(f"{PAGES}requests/{request}/files/{sha256}/vote", choice="approve")
            seen.that(sent.status in CLOSED_STATUSES, "the author could vote")
    async with at_the_pages(house.origin, OTHER_RESEARCHER, play.passwords[OTHER_RESEARCHER]) as visit:
        page = await visit.open(f"{PAGES}requests/{request}")
        seen.that(page.status in CLOSED_STATUSES, "another researcher saw the request")


def _verified_elsewhere(package: bytes, request: str, seen: Seen) -> str:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        archive = folder / "package.zip"
        archive.write_bytes(package)
        with zipfile.ZipFile(archive) as unpacked:
            unpacked.extractall(folder)
        bag = folder / request
        for manifest in ("manifest-sha512.txt", "tagmanifest-sha512.txt"):
            seen.that(
                _runs(bag, "sha512sum", "--check", "--quiet", manifest), f"sha512sum refused {manifest}"
            )
        signature = str(folder / "tagmanifest-sha512.txt.minisig")
        signed = (
            "minisign",
            "-V",
            "-p",
            str(folder / "minisign.pub"),
            "-x",
            signature,
            "-m",
            "tagmanifest-sha512.txt",
        )
        seen.that(_runs(bag, *signed), "minisign refused the signature")
        (bag / "tagmanifest-sha512.txt").write_bytes(b"x" + (bag / "tagmanifest-sha512.txt").read_bytes()[1:])
        seen.that(not _runs(bag, *signed), "minisign accepted a changed manifest")
    return f"sha512sum and minisign accept {len(package):,} bytes, and refuse one changed byte"


def _runs(folder: Path, *command: str) -> bool:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def _scrutiny(play: Play, house: OpenHouse) -> None:
    trail = play.settings.state / "trail"
    with play.promises.promise(
        "The trail verifies: every intent has its outcome, two others than the author approved"
    ) as seen:
        report = verify(trail)
        seen.that(report.integrity, "the trail is not whole")
        seen.that(report.completeness is True, "; ".join(one.words for one in report.anomalies))
        seen.tell(f"{report.size} entries, {report.step('releases').words}")
    with play.promises.promise("One changed byte in a copy of the trail is found and named") as seen:
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / "trail"
            told = play.command(house, "audit", "export", str(copy), "--json", person=AUDITOR)
            seen.that(told.returncode == 0, told.stderr)
            entries = next(iter(sorted(copy.glob("tile/entries/**/*[0-9]"))))
            content = bytearray(entries.read_bytes())
            content[len(content) // 2] ^= 1
            entries.write_bytes(content)
            found = subprocess.run(
                [sys.executable, "-m", "audit", "verify", str(copy), "--json"],
                capture_output=True,
                text=True,
                check=False,
            )
            seen.that(found.returncode == TAMPERED, f"the verifier ended with {found.returncode}")
            seen.tell(f"first broken index {json.loads(found.stdout)['first_broken_index']}")


def _closed(settings: Settings, promises: Promises, play: Play) -> None:
    with promises.promise("Ctrl-C leaves no process, and nothing readable on disk") as seen:
        left = _processes_naming(str(settings.state), str(settings.run))
        seen.that(not left, f"still running: {left}")
        words = _telling_words(play.truth)
        for file in _files_under(settings.state):
            content = file.read_bytes()
            found = next((word for word in words if word in content), None)
            seen.that(found is None, f"{file.relative_to(settings.state)} holds a name, a number or a note")
        seen.tell(f"{len(words)} names, numbers and notes looked for in every file")


def _telling_words(truth: pl.DataFrame) -> list[bytes]:
    """Give what must be found nowhere: identity numbers, full names, notes."""
    some = truth.sample(200, seed=1)
    names = (some["first_name"] + " " + some["last_name"]).to_list()
    notes = [note[:40] for note in some["note"].drop_nulls().to_list()]
    return [str(word).encode() for word in [*some["nir"].to_list(), *names, *notes]]


def _files_under(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _processes_naming(*places: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if any(f"{place}".encode() in told for place in places):
                found.append(process.name)
    return found
