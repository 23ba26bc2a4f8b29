"""The check as it goes: the house, who is who, what was seen so far; and how a person runs a command."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Final

import polars as pl

from enclave.demo.cast import Passwords
from enclave.demo.notebook_session import CellOutput, NotebookSession
from enclave.demo.open_house import OpenHouse
from enclave.demo.promises import PromiseBrokenError, Promises
from enclave.settings import Settings

OK: Final = 200

# The demonstration's own question, built as a researcher would in a cell.
CELL: Final = """
import enclave_client as enclave
ds = enclave.dataset("hospital-stays")
q = ds.filter(ds.cim10 == "I50").group_by("sex").agg(
    stays=enclave.count(), los=enclave.mean(ds.length_of_stay, 0, 40), cost=enclave.sum(ds.cost, 0, 10000))
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


async def said(notebook: NotebookSession, code: str) -> CellOutput:
    output = await notebook.run(code)
    if output.error:
        raise PromiseBrokenError(f"a cell failed: {output.text[-600:]}")
    return output


async def said_last(notebook: NotebookSession, code: str) -> str:
    """Run a cell and give the last line it showed: what comes before may be progress."""
    lines = (await said(notebook, code)).text.strip().splitlines()
    return lines[-1] if lines else ""
