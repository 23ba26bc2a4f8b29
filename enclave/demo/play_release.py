"""Releases, played: one table is blocked, one is approved by two people, sealed, taken out and checked elsewhere."""

import re
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Final

from enclave.demo.cast import OTHER_RESEARCHER, RESEARCHER, STEWARDS
from enclave.demo.notebook_session import NotebookSession
from enclave.demo.open_house import OpenHouse
from enclave.demo.page_visit import PAGES, at_the_pages
from enclave.demo.play import CELL, OK, Play, said, said_last
from enclave.demo.promises import Seen
from enclave.demo.ways_out import CLOSED_STATUSES

# Sixty lines with an identity number each, and the answer's table.
FILES: Final = """
with open("bad.csv", "w") as bad:
    bad.write("nir;service;n\\n" + "".join(f"2{i:02d}0159001001;cardio;{i % 4}\\n" for i in range(60)))
with open("good.csv", "w") as good:
    good.write("sexe;stays\\n" + "".join(f"{r['sex']};{r['stays']['value']}\\n" for r in q.ask(rho=0.02).rows))
"""


async def submitted(play: Play, notebook: NotebookSession) -> tuple[str, str]:
    """Submit a good table and a row-level extract; gives their requests."""
    with play.promises.promise("A good table passes the checks, a row-level extract is blocked") as seen:
        await said(notebook, CELL)
        await said(notebook, FILES)
        bad, blocked = await _submit(notebook, "bad.csv")
        good, in_review = await _submit(notebook, "good.csv")
        seen.that(blocked == "BLOCKED", f"the extract is {blocked}")
        seen.that(in_review == "IN_REVIEW", f"the good table is {in_review}")
        seen.tell(f"{in_review}, {blocked}")
    return good, bad


async def _submit(notebook: NotebookSession, file: str) -> tuple[str, str]:
    code = f"r = enclave.submit({file!r}, title='Essai', purpose='article'); print(r.id, r.status)"
    request, status = (await said_last(notebook, code)).split()
    return request, status


async def reviewed(play: Play, house: OpenHouse, good: str, bad: str) -> None:
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
                    seen.that(shown.status == OK, "the file could not be looked at")
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
        seen.that(taken.status == OK, f"the download answered {taken.status}")
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
