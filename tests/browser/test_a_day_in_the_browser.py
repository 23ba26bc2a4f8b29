"""A person's day in a real browser: sign in, a notebook, a cell, a request, the steward's and the auditor's pages."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from enclave.demo.cast import AUDITOR, PROJECT, RESEARCHER, STEWARDS
from tests.living import Lived

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
# No background talk of the browser with the outside world.
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN = {"width": 1280, "height": 720}
PATIENCE_MS = 90_000
SHOTS = Path(os.environ.get("ENCLAVE_SCREENSHOTS_FOLDER", "build/screenshots"))
CELL = """import enclave_client as enclave
ds = enclave.dataset("hospital-stays")
q = ds.group_by("sex").agg(stays=enclave.count(), cost=enclave.mean(ds.cost, 0, 10000))
a = q.ask(rho=0.01)
open("tableau.csv", "w").write("sexe;sejours\\n" + "".join(f"{r['sex']};{r['stays']['value']}\\n" for r in a.rows))
print(enclave.submit("tableau.csv", title="Séjours par sexe", purpose="article").status)
a"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI"):
            pytest.fail("Debian's chromium is missing: scripts/test installs it")
        pytest.skip("needs Debian's chromium: sudo apt-get install chromium")
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def signed_in(browser: Browser, lived: Lived, person: str) -> Page:
    page = browser.new_context(viewport=SCREEN, locale="fr-FR").new_page()  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{lived.house.origin}/")
    page.fill("input[name=username]", person)
    page.fill("input[name=password]", lived.passwords[person])
    shot(page, "sign-in")
    page.click("[type=submit]")
    page.wait_for_url("**/enclave/**")
    return page


def shot(page: Page, name: str) -> None:
    page.screenshot(path=SHOTS / f"{name}.png")


def test_a_researcher_asks_in_jupyterlab_and_two_stewards_and_an_auditor_do_their_part(
    browser: Browser, lived: Lived
) -> None:
    in_the_notebook(browser, lived)
    for steward in STEWARDS:
        approves(browser, lived, steward)
    takes_it_out(browser, lived)
    verifies(browser, lived)


def in_the_notebook(browser: Browser, lived: Lived) -> None:
    page = signed_in(browser, lived, RESEARCHER)
    shot(page, "home")
    page.click(f'a[href*="/hub/spawn/{RESEARCHER}/{PROJECT}"]')
    page.wait_for_url(f"**/user/{RESEARCHER}/{PROJECT}/lab**")
    page.click('.jp-LauncherCard[data-category="Notebook"]')
    page.wait_for_selector("text=Python (enclave) | Idle")
    page.click(".jp-Notebook .jp-Cell .cm-content")
    page.keyboard.insert_text(CELL)
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output")
    expect(output.filter(has_text="IN_REVIEW")).to_be_visible(timeout=PATIENCE_MS)
    expect(output.locator("table")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    shot(page, "notebook")
    assert page.locator("text=Download").count() == 0
    page.context.close()


def approves(browser: Browser, lived: Lived, steward: str) -> None:
    page = signed_in(browser, lived, steward)
    shot(page, f"home-{steward}")
    page.goto(f"{lived.house.origin}/enclave/queue")
    shot(page, "queue")
    page.click("text=Séjours par sexe")
    shot(page, "request")
    page.click("text=tableau.csv")
    shot(page, "file")
    page.locator('[name=choice][value="approve"]').check()
    page.click('form[action$="/vote"] button')
    page.wait_for_load_state()
    if steward == STEWARDS[-1]:
        page.goto(f"{lived.house.origin}/enclave/queue")
        page.click("text=Séjours par sexe")
        page.click('form[action$="/package"] button')
        page.wait_for_load_state()
        shot(page, "released")
    page.context.close()


def takes_it_out(browser: Browser, lived: Lived) -> None:
    page = signed_in(browser, lived, RESEARCHER)
    page.goto(f"{lived.house.origin}/enclave/requests")
    shot(page, "own-requests")
    page.click("text=Séjours par sexe")
    with page.expect_download() as download:
        page.click('form[action$="/download"] button')
    assert download.value.suggested_filename.endswith(".zip")
    page.context.close()


def verifies(browser: Browser, lived: Lived) -> None:
    page = signed_in(browser, lived, AUDITOR)
    page.goto(f"{lived.house.origin}/enclave/audit")
    page.click('form[action$="/verify"] button')
    page.wait_for_load_state()
    shot(page, "audit")
    page.goto(f"{lived.house.origin}/enclave/audit/search?type=release.review")
    shot(page, "audit-search")
    assert STEWARDS[0] in page.content()
    page.context.close()
