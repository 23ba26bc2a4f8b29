import pytest

from enclave.people import Person, Role
from enclave.web import browser_sessions
from enclave.web.browser_sessions import BrowserSessions
from tests.unit.web.browser import Browser, World
from tests.unit.web.stories import run, submitted


def test_a_stranger_is_sent_to_sign_in_and_comes_back_where_they_were_going():
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        answer = await browser.get("queue?sort=title")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/enclave/login?next=%2Fenclave%2Fqueue%3Fsort%3Dtitle"
        back = await browser.sign_in("researcher-a")
        assert back.headers["location"] == "/enclave/requests"
        assert (await browser.get("")).status_code == 200

    run(story())


def test_the_browser_holds_one_opaque_cookie_on_our_path_only():
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        back = await browser.sign_in("researcher-a")
        cookie = next(
            each for each in back.headers.get_list("set-cookie") if each.startswith("enclave-session=")
        )
        assert "HttpOnly" in cookie
        assert "Path=/enclave/" in cookie
        assert "samesite=lax" in cookie.lower()
        assert "token" not in cookie
        assert "researcher" not in cookie

    run(story())


def test_the_state_must_be_this_browsers_and_works_once():
    async def story() -> None:
        world = World()
        victim, attacker = Browser(world.app), Browser(world.app)
        sent = await attacker.http.get("/enclave/login")
        state = sent.headers["location"].split("state=")[1].split("&")[0]
        assert (await victim.get(f"oauth_callback?state={state}&code=researcher-b")).status_code == 403
        assert (await attacker.get(f"oauth_callback?state={state}&code=researcher-b")).status_code == 303
        assert (await attacker.get(f"oauth_callback?state={state}&code=researcher-b")).status_code == 403
        assert (await victim.get("oauth_callback")).status_code == 403

    run(story())


def test_a_state_older_than_five_minutes_is_refused():
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        sent = await browser.http.get("/enclave/login")
        state = sent.headers["location"].split("state=")[1].split("&")[0]
        world.now += 301
        assert (await browser.get(f"oauth_callback?state={state}&code=researcher-b")).status_code == 403

    run(story())


def test_a_session_number_known_before_is_not_the_one_given():
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        browser.http.cookies.set("enclave-session", "chosen-by-somebody-else", path="/enclave/")
        back = await browser.sign_in("researcher-a")
        given = next(
            each for each in back.headers.get_list("set-cookie") if each.startswith("enclave-session=")
        )
        assert "chosen-by-somebody-else" not in given
        assert world.sessions.find("chosen-by-somebody-else") is None

    run(story())


@pytest.mark.parametrize(
    "next_page", ["//evil.test/", "https://evil.test/", "/hub/logout", "/enclave/\\evil", "/enclave//evil"]
)
def test_signing_in_never_leads_elsewhere(next_page: str):
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        sent = await browser.http.get("/enclave/login", params={"next": next_page})
        state = sent.headers["location"].split("state=")[1].split("&")[0]
        back = await browser.get(f"oauth_callback?state={state}&code=researcher-a")
        assert back.headers["location"] == "/enclave/"

    run(story())


def test_a_role_taken_away_is_gone_at_the_next_click():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        assert (await browser.get("queue")).status_code == 200
        world.house.people["steward-a"] = Person("steward-a", frozenset({Role.RESEARCHER}))
        assert (await browser.get("queue")).status_code == 403
        world.house.people["steward-a"] = Person("steward-a", frozenset(), active=False)
        assert (await browser.get("")).status_code == 401

    run(story())


def test_a_sign_out_at_the_hub_ends_the_session_here():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        world.hub.revoked.add("token of steward-a")
        assert (await browser.get("queue")).status_code == 303
        world.hub.revoked.clear()
        assert (await browser.get("queue")).status_code == 303

    run(story())


def test_a_hub_that_is_down_opens_nothing():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        world.hub.down = True
        assert (await browser.get("queue")).status_code == 503

    run(story())


def test_an_idle_session_ends_and_so_does_an_old_one():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        world.now += 29 * 60
        assert (await browser.get("")).status_code == 200
        world.now += 31 * 60
        assert (await browser.get("")).status_code == 303
        await browser.sign_in("steward-a")
        for _ in range(25):
            world.now += 25 * 60
            last = await browser.get("")
        assert last.status_code == 303

    run(story())


def test_a_form_without_this_sessions_token_does_nothing():
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser, other = await world.browser("researcher-a"), await world.browser("steward-a")
        foreign = await other.csrf()
        for csrf in ("", "x", foreign, "é"):
            answer = await browser.post(f"requests/{request}/withdraw", csrf=csrf)
            assert answer.status_code == 403
        assert world.house.moves == []

    run(story())


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    ],
)
def test_a_form_sent_by_another_site_or_by_a_script_does_nothing(headers: dict[str, str]):
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser = await world.browser("researcher-a")
        answer = await browser.post(f"requests/{request}/withdraw", headers=headers)
        assert answer.status_code == 403
        assert world.house.moves == []

    run(story())


def test_a_script_on_this_origin_cannot_read_a_page():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        answer = await browser.get("", Sec_Fetch_Mode="cors", Sec_Fetch_Dest="empty")
        assert answer.status_code == 403
        assert "csrf" not in answer.text
        assert (await browser.get("", Sec_Fetch_Dest="iframe")).status_code == 403

    run(story())


def test_signing_out_ends_the_session_and_goes_to_the_hub():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        number = browser.http.cookies["enclave-session"]
        answer = await browser.post("logout")
        assert answer.headers["location"] == "/hub/logout"
        assert world.sessions.find(number) is None

    run(story())


def test_an_account_without_access_to_the_pages_is_refused():
    async def story() -> None:
        world = World()
        world.hub.revoked.add("token of stranger")
        browser = Browser(world.app)
        assert (await browser.sign_in("stranger")).status_code == 403

    run(story())


def test_a_person_the_house_does_not_know_gets_no_session():
    async def story() -> None:
        world = World()
        browser = Browser(world.app)
        answer = await browser.sign_in("stranger")
        assert answer.status_code == 401
        assert "enclave-session" not in browser.http.cookies

    run(story())


def test_a_form_sent_after_the_session_ended_leads_to_signing_in():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        csrf = await browser.csrf()
        world.now += 31 * 60
        answer = await browser.http.post("/enclave/requests/x/withdraw", data={"csrf": csrf})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/enclave/login?next=%2Fenclave%2F"
        assert world.house.moves == []

    run(story())


def test_what_is_over_is_forgotten_and_the_oldest_gives_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(browser_sessions, "MOST_KEPT", 2)
    now = [0.0]
    sessions = BrowserSessions(lambda: now[0])
    first, second, third = (sessions.sign_in("steward-a", "token") for _ in range(3))
    assert sessions.find(first) is None
    assert sessions.find(second) is not None
    now[0] = 31 * 60
    sessions.sign_in("steward-a", "token")
    assert sessions.find(second) is sessions.find(third) is None
