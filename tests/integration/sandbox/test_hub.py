"""The hub and its gateway as a person meets them: who gets in, what starts, what stops, what is counted."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from enclave.demo.notebook_session import NotebookSession, open_notebook
from enclave.errors import ComponentDown, NotAuthenticated, Refused
from tests.integration.sandbox.conftest import House, sandboxes_of, signed_in, spill
from tests.integration.sandbox.house_stand_in import PASSWORD

pytestmark = pytest.mark.sandbox
Run = Callable[[Any], Any]
SMALL_BUDGET = 3_000_000


def test_a_wrong_password_is_refused_in_two_languages(house: House, run: Run) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            session = NotebookSession(http, house.origin, "researcher-a", "study-one")
            with pytest.raises(NotAuthenticated):
                await session.sign_in("not the password")
            form = {"username": "researcher-a", "password": "x", "_xsrf": session._xsrf("/hub/")}
            answer = await session.request("POST", "/hub/login", data=form)
            page = answer.body.decode()
            assert answer.status == 401
            assert "mot de passe refusé" in page
            assert "password is wrong" in page

    run(story())


def test_somebody_the_house_does_not_know_does_not_get_in(house: House, run: Run) -> None:
    async def story() -> None:
        with pytest.raises(NotAuthenticated):
            async with signed_in(house, "researcher-z"):
                pass

    run(story())


def test_a_login_that_cannot_be_recorded_is_refused_as_such(house: House, run: Run) -> None:
    async def story() -> None:
        with house.recorder_down(), pytest.raises(NotAuthenticated, match="503"):
            async with signed_in(house, "researcher-a"):
                pass

    run(story())


def test_no_receipt_no_notebook(house: House, run: Run) -> None:
    async def story() -> None:
        async with signed_in(house, "researcher-b") as session:
            with house.recorder_down(), pytest.raises(Refused, match="ne répond pas"):
                await session.start_server()

    run(story())
    assert not sandboxes_of(house)


def test_a_project_one_is_no_member_of_is_refused(house: House, run: Run) -> None:
    async def story() -> None:
        async with signed_in(house, "researcher-b", "study-two") as session:
            with pytest.raises(Refused, match="ne peut pas être ouvert"):
                await session.start_server()

    run(story())


def test_a_role_without_notebooks_starts_none(house: House, run: Run) -> None:
    async def story() -> None:
        async with signed_in(house, "auditor-a") as session:
            with pytest.raises(Refused):
                await session.start_server()

    run(story())


def test_a_session_is_recorded_before_it_starts_and_closed_when_it_ends(house: House, run: Run) -> None:
    async def story() -> None:
        async with open_notebook(house.origin, "researcher-a", PASSWORD, "study-two") as notebook:
            assert (await notebook.run("1 + 1")).text == "2"

    run(story())
    opened = next(call for call in house.calls("open") if call["project"] == "study-two")
    assert {"call": "started", "session": opened["session"], "ok": True} in house.calls("started")
    assert any(call["session"] == opened["session"] for call in house.calls("close"))
    assert not sandboxes_of(house)


def test_the_token_is_on_no_command_line_and_the_log_is_private(
    house: House, notebook: NotebookSession
) -> None:
    commands = sandboxes_of(house)
    assert commands
    assert not any("TOKEN" in command or "setenv" in command for command in commands)
    logs = list((house.state / "logs").iterdir())
    assert {log.stat().st_mode & 0o777 for log in logs} == {0o600}


def test_another_person_cannot_enter_a_running_server(
    house: House, notebook: NotebookSession, run: Run
) -> None:
    async def story() -> int:
        async with signed_in(house, "researcher-b") as session:
            for path in (notebook.base + "api/contents", notebook.base + "lab"):
                answer = await session.request("GET", path)
                location = answer.headers.get("Location", "")
                if answer.status == 302 and "authorize" in location:
                    answer = await session.request("GET", location)
                assert answer.status == 403
        return 0

    run(story())


def test_a_person_who_is_no_longer_known_is_out_at_once(
    house: House, notebook: NotebookSession, run: Run
) -> None:
    async def story() -> None:
        assert (await notebook.request("GET", notebook.base + "api/status")).status == 200
        with house.away("researcher-a"):
            await asyncio.sleep(2.1)
            assert (await notebook.request("GET", notebook.base + "api/status")).status == 403
            assert (await notebook.request("GET", "/hub/spawn/researcher-a/study-one")).status in {302, 403}
            with pytest.raises(ComponentDown, match="4403"):
                await notebook.run("import time; time.sleep(8)")
        await asyncio.sleep(2.1)
        await notebook.sign_in(PASSWORD)
        await notebook.start_server()
        await notebook.join()
        assert (await notebook.run("1 + 1")).text == "2"

    run(story())


@pytest.mark.parametrize("origin", [None, "https://elsewhere.example", "null"])
def test_a_websocket_from_elsewhere_is_refused(
    origin: str | None, house: House, notebook: NotebookSession, run: Run
) -> None:
    async def story() -> None:
        url = f"{house.origin}{notebook.base}api/events/subscribe"
        headers = {} if origin is None else {"Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await notebook._http.ws_connect(url, headers=headers)
        assert refused.value.status == 403

    run(story())


def test_a_page_of_elsewhere_and_another_host_name_are_refused(
    house: House, notebook: NotebookSession, run: Run
) -> None:
    async def story() -> None:
        path = notebook.base + "api/kernels"
        sent = await notebook.request("POST", path, headers={"Origin": "https://elsewhere.example"}, json={})
        rebound = await notebook.request("GET", path, headers={"Host": "elsewhere.example"})
        assert (sent.status, rebound.status) == (403, 403)

    run(story())


def test_a_module_planted_in_the_project_is_not_the_servers(house: House, run: Run) -> None:
    async def story() -> None:
        plant = "for m in ('jupyter_server', 'notebooks_image', 'sitecustomize', 'json'): open(m + '.py', 'w').write('raise SystemExit')"
        async with open_notebook(house.origin, "researcher-b", PASSWORD, "study-one") as notebook:
            await notebook.run(plant)
        async with open_notebook(house.origin, "researcher-b", PASSWORD, "study-one") as notebook:
            assert (await notebook.request("GET", notebook.base + "api/status")).status == 200

    run(story())


def test_the_pages_sign_people_in_through_the_hub(house: House, run: Run) -> None:
    async def story() -> None:
        token = (house.state / "hub" / "pages-token").read_text()
        async with signed_in(house, "auditor-a") as session:
            asked = "/hub/api/oauth2/authorize?client_id=service-pages&response_type=code&state=s"
            answer = await session.request("GET", f"{asked}&redirect_uri=%2Fenclave%2Foauth_callback")
            place = urlsplit(answer.headers["Location"])
            assert place.path == "/enclave/oauth_callback"
            code = parse_qs(place.query)["code"][0]
        socket = aiohttp.UnixConnector(str(house.run / "h" / "hub.sock"))
        async with aiohttp.ClientSession(connector=socket) as hub:
            form = {
                "client_id": "service-pages",
                "client_secret": token,
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": "/enclave/oauth_callback",
            }
            granted = await (await hub.post("http://hub/hub/api/oauth2/token", data=form)).json()
            bearer = {"Authorization": f"Bearer {granted['access_token']}"}
            known = await (await hub.get("http://hub/hub/api/user", headers=bearer)).json()
        assert known["name"] == "auditor-a"
        assert known["admin"] is False
        assert not [scope for scope in known["scopes"] if "servers" in scope]

    run(story())


def test_the_pages_answer_under_their_own_strict_policy(house: House, run: Run) -> None:
    async def story() -> None:
        async with signed_in(house, "auditor-a") as session:
            answer = await session.request("GET", "/enclave/")
            home = await session.request("GET", "/")
        assert answer.body == b"<p>pages</p>"
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
        assert (home.status, home.headers["Location"]) == (302, "/enclave/")

    run(story())


def test_a_notebook_that_does_not_run_offers_to_be_started(house: House, run: Run) -> None:
    async def story() -> None:
        async with signed_in(house, "researcher-a", "study-two") as session:
            answer = await session.request("GET", f"{session.base}lab")
            assert (answer.status, answer.headers["Location"]) == (302, f"/hub{session.base}")
            page = await session.request("GET", answer.headers["Location"])
            assert f"/hub/spawn{session.base.removeprefix('/user').rstrip('/')}" in page.body.decode()
            assert (await session.request("GET", f"{session.base}api/contents")).status == 404

    run(story())


def test_who_types_localhost_is_sent_to_the_one_name(house: House, run: Run) -> None:
    async def story() -> None:
        async with aiohttp.ClientSession() as http:
            local = house.origin.replace("127.0.0.1", "localhost")
            async with http.get(f"{local}/hub/login?a=1", allow_redirects=False) as answer:
                assert answer.headers["Location"] == f"{house.origin}/hub/login?a=1"

    run(story())


def test_a_refused_page_is_a_page_in_two_languages(house: House, run: Run) -> None:
    async def story() -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{house.origin}/hub/admin", headers={"Accept": "text/html"}) as answer,
        ):
            assert answer.status == 403
            text = await answer.text()
        assert "fermée" in text
        assert "closed in this enclave" in text
        assert "hub/admin" not in text

    run(story())


def test_a_signed_out_person_is_out_of_the_notebook_too(house: House, run: Run) -> None:
    async def story() -> None:
        async with open_notebook(house.origin, "researcher-b", PASSWORD, "study-one") as notebook:
            assert (await notebook.request("GET", f"{notebook.base}api/status")).status == 200
            await notebook.request("GET", "/hub/logout")
            await asyncio.sleep(11)
            assert (await notebook.request("GET", f"{notebook.base}api/status")).status == 403
            await notebook.sign_in(PASSWORD)

    run(story())


def test_saving_and_opening_a_notebook_works(notebook: NotebookSession, run: Run) -> None:
    async def story() -> None:
        made = await notebook.api("POST", "api/contents", json={"type": "notebook"})
        model = await notebook.api("GET", f"api/contents/{made['path']}")
        cell = {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": "1",
        }
        model["content"]["cells"] = [cell]
        await notebook.api("PUT", f"api/contents/{made['path']}", json=model)
        await notebook.api("POST", f"api/contents/{made['path']}/checkpoints")
        renamed = await notebook.api(
            "PATCH", f"api/contents/{made['path']}", json={"path": "étude 100%.ipynb"}
        )
        again = await notebook.api("GET", "api/contents/%C3%A9tude%20100%25.ipynb")
        listed = await notebook.api("GET", "api/contents")
        assert renamed["path"] == again["path"] == "étude 100%.ipynb"
        assert again["content"]["cells"][0]["source"] == "1"
        assert "étude 100%.ipynb" in {entry["name"] for entry in listed["content"]}
        assert (
            await notebook.request("DELETE", f"{notebook.base}api/contents/%C3%A9tude%20100%25.ipynb")
        ).status == 204

    run(story())


def test_the_page_holds_no_token(notebook: NotebookSession, run: Run) -> None:
    page = run(notebook.request("GET", notebook.base + "lab")).body.decode()
    assert '"token": ""' in page
    assert "@jupyterlab/docmanager-extension:download" in page


def test_output_that_cannot_be_recorded_is_not_shown(
    house: House, notebook: NotebookSession, run: Run
) -> None:
    async def story() -> None:
        with house.recorder_down(), pytest.raises(ComponentDown, match="4403"):
            await spill(notebook)
        await notebook.join()
        assert (await notebook.run("1 + 1")).text == "2"

    run(story())
