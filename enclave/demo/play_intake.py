"""Intake, played: people and agreements are entered, partner files are classified, brought in and gone."""

import json
from pathlib import Path

import polars as pl

from enclave.demo import cast
from enclave.demo.cast import HOSPITAL
from enclave.demo.open_house import OpenHouse
from enclave.demo.play import Play
from enclave.demo.promises import Promises
from enclave.journeys.intake import IntakeReport


def settle(house: OpenHouse, promises: Promises) -> Play:
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
