"""The four journeys in one real house: intake, question, release, scrutiny. The demonstration plays the same ones."""

import asyncio
import io
import json

import polars as pl
import pytest
from rich.console import Console

from enclave.demo.cast import AUDITOR, HOSPITAL, PROJECT, RAND, RESEARCHER, SEED
from enclave.demo.check import in_the_notebook_and_at_the_desk
from enclave.demo.hospital_stays import hospital_stays
from enclave.demo.play import Play
from enclave.demo.play_question import on_the_command_line
from enclave.demo.play_scrutiny import nothing_readable, verified
from enclave.demo.promises import Promises
from tests.living import PATIENTS, STAYS, Lived


@pytest.fixture(scope="module")
def play(lived: Lived) -> Play:
    promises = Promises(Console(file=io.StringIO()))
    frame = hospital_stays(PATIENTS, STAYS, SEED)
    return Play(lived.house.settings, promises, frame, lived.passwords)


def test_intake_stores_every_row_encrypted_and_leaves_no_plain_copy(lived: Lived) -> None:
    stored = {report.dataset: report for report in lived.reports}
    assert (stored[HOSPITAL].stored, stored[HOSPITAL].aside, stored[HOSPITAL].units) == (STAYS, 0, PATIENTS)
    assert (stored[RAND].stored, stored[RAND].aside) == (20_190, 0)
    assert not list((lived.house.settings.state / "inbox").rglob("*.csv"))
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet(next((lived.house.settings.state / "shelves" / HOSPITAL).rglob("*.parquet")))


def test_a_question_shows_its_price_and_is_answered_on_the_command_line(play: Play, lived: Lived) -> None:
    on_the_command_line(play, lived.house)


def test_a_notebook_asks_nothing_else_gets_out_and_a_release_needs_two_others(
    play: Play, lived: Lived
) -> None:
    asyncio.run(in_the_notebook_and_at_the_desk(play, lived.house))


def test_the_trail_verifies_and_one_changed_byte_is_found(play: Play, lived: Lived) -> None:
    verified(play, lived.house)


def test_every_book_of_the_house_agrees_with_the_trail(play: Play, lived: Lived) -> None:
    told = json.loads(lived.command("audit", "reconcile", "--json", person=AUDITOR).stdout)
    assert told["books"]["unread"] == []
    assert told["books"]["differences"] == 0, told["anomalies"]


def test_no_file_of_the_house_holds_a_name_a_number_or_a_note(play: Play, lived: Lived) -> None:
    assert nothing_readable(lived.house.settings.state, play.truth) > 100


def test_the_demonstration_names_its_project_and_people_for_what_they_do() -> None:
    assert (PROJECT, RESEARCHER) == ("cardio", "researcher-a")
