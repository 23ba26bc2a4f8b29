"""Questions, played: on the command line, then from a real kernel; and every known way out of it, refused."""

import json
from typing import Any, Final

import polars as pl

from enclave.demo.cast import PROJECT, RAND, RESEARCHER
from enclave.demo.notebook_session import NotebookSession
from enclave.demo.open_house import OpenHouse
from enclave.demo.play import CELL, Play, said, said_last
from enclave.demo.promises import Seen
from enclave.demo.ways_out import CELLS, CLOSED_STATUSES, PRELUDE, REFUSED, TWO_HANDED, WEB, ask_web, run_cell

# Six standard deviations: a false alarm in a thousand million checks.
SIGMAS: Final = 6 / 1.96
ROWS_BOUND: Final = 8
COST_BOUND: Final = 10_000
BUDGET: Final = "print(enclave.budget())"

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


def on_the_command_line(play: Play, house: OpenHouse) -> None:
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
        seen.that(
            {row["hlthp"] for row in answer["rows"]} == {True, False},
            "the answer has not a row for each declared value",
        )
        seen.that("ligne" in answer["words"]["fr"], "the answer does not say that its unit is the row")
        seen.tell(answer["words"]["en"])
    file.unlink()


async def in_the_notebook(play: Play, notebook: NotebookSession) -> None:
    """Ask from a kernel: the truth is in the interval, a replay is free, a spent budget is refused."""
    with play.promises.promise(
        "A kernel behind two sandboxes asks, and its intervals hold the truth"
    ) as seen:
        await said(notebook, CELL)
        asked = await said_last(notebook, "import json; a = q.ask(rho=0.02); print(json.dumps(a.rows))")
        for row in json.loads(asked):
            stays = play.truth.filter((pl.col("cim10") == "I50") & (pl.col("sex") == row["sex"]))
            _holds_the_truth(seen, stays, row)
        seen.tell((await said(notebook, "print(a.words)")).text.strip().split("\n")[0])
    with play.promises.promise("The same question again is the same answer, free") as seen:
        again = await said_last(notebook, "b = q.ask(rho=0.02); print(b.rows == a.rows, b.replayed)")
        seen.that(again == "True True", f"the replay differed: {again}")
    with play.promises.promise("A spent budget is refused, and nothing is charged for the refusal") as seen:
        before = (await said(notebook, BUDGET)).text
        refused = await notebook.run("q.ask(rho=5)")
        seen.that(bool(refused.error), "more than the budget was answered")
        seen.that((await said(notebook, BUDGET)).text == before, "the refusal was charged")
        seen.tell(refused.text.strip().splitlines()[-1])


def _holds_the_truth(seen: Seen, stays: pl.DataFrame, row: dict[str, Any]) -> None:
    """Compare with the exact figures; bounding drops the 9th and later stays of one patient."""
    kept = stays.with_row_index().filter(pl.col("index").cum_count().over("nir") <= ROWS_BOUND)
    _near(seen, "stays", row["stays"], kept.height)
    cost = kept["cost"].clip(0, COST_BOUND).sum()
    _near(seen, "cost", row["cost"], cost, slack=(stays.height - kept.height) * COST_BOUND)


def _near(seen: Seen, name: str, cell: dict[str, Any], truth: float, slack: float = 0) -> None:
    half = (cell["noise_high"] - cell["noise_low"]) / 2 * SIGMAS + slack
    seen.that(abs(cell["value"] - truth) <= half, f"{name} is further from the truth than its noise explains")


async def ways_out(play: Play, notebook: NotebookSession) -> None:
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
