import asyncio
import base64
from typing import Any

import httpx
import pytest

from enclave.accounts.words import Seen
from enclave.people import Person, Role
from enclave.web.apps import data_app, house_app
from enclave.web.limits import SMALL, UPLOAD
from tests.unit.web.house_for_tests import PASSWORD, SESSION, HouseForTests

SOCKET = f"/run/e/n/{SESSION}/data/data.sock"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"researcher-a:{PASSWORD}".encode()).decode()}
PROJECT = {"X-Enclave-Project": "heart-failure"}


def send(app: Any, method: str, path: str, socket: str = SOCKET, **options: Any) -> httpx.Response:
    """One request that arrives on this listening socket."""

    async def on_socket(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "server": (socket, None)}, receive, send)

    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(on_socket)
        async with httpx.AsyncClient(transport=transport, base_url="http://enclave") as client:
            return await client.request(method, path, **options)

    return asyncio.run(one())


def encoded(name: str = "table.csv", content: bytes = b"a;b\n") -> dict[str, str]:
    return {"name": name, "base64": base64.b64encode(content).decode()}


def test_the_socket_is_the_identity_whatever_the_request_says():
    headers = {**BASIC, "X-Enclave-Project": "other", "Cookie": "enclave-session=x"}
    answer = send(data_app(HouseForTests()), "GET", "/api/v1/me", headers=headers)
    assert answer.json()["person"] == "researcher-a"
    assert answer.json()["project"] == "heart-failure"


@pytest.mark.parametrize(
    "socket",
    [
        "/run/e/n/ffffffffff/data/data.sock",
        "/run/e/house.sock",
        f"/run/e/n/{SESSION}/nb/data.sock/x",
        "",
        "127.0.0.1",
    ],
)
def test_a_socket_nobody_holds_answers_nothing(socket: str):
    answer = send(data_app(HouseForTests()), "GET", "/api/v1/me", socket)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "session_unknown"


def test_a_person_who_left_the_project_is_refused_at_the_next_call():
    house = HouseForTests()
    app = data_app(house)
    assert send(app, "GET", "/api/v1/datasets").status_code == 200
    house.people["researcher-a"] = Person("researcher-a", frozenset({Role.STEWARD}))
    assert send(app, "GET", "/api/v1/datasets").json()["error"]["code"] == "not_a_member"
    house.people["researcher-a"] = Person("researcher-a", frozenset(), active=False)
    assert send(app, "GET", "/api/v1/datasets").status_code == 401


def test_a_data_socket_has_no_other_door():
    app = data_app(HouseForTests())
    for path in (
        "/internal/v1/people/steward-a",
        "/docs",
        "/openapi.json",
        "/enclave/",
        "/api/v1/../internal",
        "/",
    ):
        assert send(app, "GET", path).status_code == 404
    assert send(app, "GET", "/api/v1/ask").status_code == 405


def test_a_refusal_is_in_the_callers_language():
    app = data_app(HouseForTests())
    body = {"question": {"rho_micro": 10**7, "ask": []}}
    french = send(app, "POST", "/api/v1/ask", json=body).json()["error"]
    english = send(app, "POST", "/api/v1/ask", json=body, headers={"Accept-Language": "en"}).json()["error"]
    assert french["code"] == english["code"] == "budget_spent"
    assert "10\u202f000\u202f000 micro-rho" in french["message"]
    assert english["message"] == "Too dear."


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"[" * 100_000, b'{"question": 3}', b'{"question": {}, "more": 1}', b"\xff", b"null"],
)
def test_a_body_that_cannot_be_read_is_refused_by_name(body: bytes):
    answer = send(
        data_app(HouseForTests()),
        "POST",
        "/api/v1/ask",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "body_invalid"


def test_a_refused_body_is_not_repeated():
    answer = send(
        data_app(HouseForTests()), "POST", "/api/v1/requests", json={"title": 184126912345678, "files": []}
    )
    assert "184126912345678" not in answer.text


def test_too_large_a_body_is_refused_whether_it_says_so_or_not():
    app = data_app(HouseForTests())
    assert send(app, "POST", "/api/v1/ask", content=b"x" * (SMALL + 1)).status_code == 413

    async def unannounced() -> Any:
        for _ in range(SMALL // 1024 + 1):
            yield b"x" * 1024

    answer = send(app, "POST", "/api/v1/ask", content=unannounced())
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"
    liar = {"Content-Length": str(UPLOAD + 1)}
    assert send(app, "POST", "/api/v1/check", content=b"{}", headers=liar).status_code == 413


def test_files_are_checked_and_a_request_goes_its_way():
    app = data_app(HouseForTests())
    checked = send(app, "POST", "/api/v1/check", json={"files": [encoded()]}).json()
    assert checked["verdict"] == "fail"
    made = send(app, "POST", "/api/v1/requests", json={"title": "t", "purpose": "p", "files": [encoded()]})
    assert made.status_code == 201
    address = f"/api/v1/requests/{made.json()['id']}"
    assert send(app, "POST", f"{address}/submit").json()["status"] == "IN_REVIEW"
    assert send(app, "GET", address).json()["words"] == "En relecture\u202f: deux personnes la lisent."
    assert (
        send(app, "GET", address, headers={"Accept-Language": "en-GB"})
        .json()["words"]
        .startswith("In review")
    )
    assert send(app, "POST", f"{address}/withdraw").json()["status"] == "WITHDRAWN"
    assert [line["title"] for line in send(app, "GET", "/api/v1/requests").json()["requests"]] == ["t"]
    assert send(app, "POST", f"{address}/withdraw/x").status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../x.csv",
        "a/b.csv",
        "a\\b.csv",
        ".hidden",
        "x\u202egnp.csv",
        "x\x00.csv",
        " x.csv",
        "e\u0301.csv",
        "a:b",
    ],
)
def test_a_file_name_that_is_more_than_a_name_is_refused(name: str):
    answer = send(data_app(HouseForTests()), "POST", "/api/v1/check", json={"files": [encoded(name)]})
    assert answer.json()["error"]["code"] == "file_name_refused"


def test_files_that_cannot_be_told_apart_or_read_are_refused():
    app = data_app(HouseForTests())
    double = {"files": [encoded("a.csv"), encoded("A.csv")]}
    assert send(app, "POST", "/api/v1/check", json=double).json()["error"]["code"] == "file_name_twice"
    for text in ("not base64!", "é", "====", "YQ"):
        broken = {"files": [{"name": "a.csv", "base64": text}]}
        assert send(app, "POST", "/api/v1/check", json=broken).json()["error"]["code"] == "base64_invalid"
    large = {"files": [encoded("a.csv", b"x" * (16 * 1024 * 1024 + 1))]}
    assert send(app, "POST", "/api/v1/check", json=large).json()["error"]["code"] == "files_too_large"


def test_prices_and_budgets_are_integers():
    app = data_app(HouseForTests())
    price = send(app, "POST", "/api/v1/price", json={"question": {"rho_micro": 5, "ask": []}}).json()
    budget = send(app, "GET", "/api/v1/budget").json()
    assert price["rho_micro"] == 5
    assert budget["populations"][0]["project"] == {
        "cap_rho_micro": 1_000_000,
        "left_rho_micro": 920_000,
        "name": "heart-failure",
    }
    assert budget["covers"] == "questions"


def test_scripts_use_a_password_and_name_the_project():
    app = house_app(HouseForTests())
    assert send(app, "GET", "/api/v1/me", headers={**BASIC, **PROJECT}).json()["person"] == "researcher-a"
    assert send(app, "GET", "/api/v1/me", headers=BASIC).json()["error"]["code"] == "project_header_missing"
    other = {**BASIC, "X-Enclave-Project": "other"}
    assert send(app, "GET", "/api/v1/me", headers=other).status_code == 403


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Bearer x", "Basic w6k6eA=="]
)
def test_without_a_name_and_a_password_nobody_is_asking(header: str):
    answer = send(
        house_app(HouseForTests()), "GET", "/api/v1/me", headers={**PROJECT, "Authorization": header}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.json()["error"]["code"] == "credentials_missing"


def test_the_hub_checks_a_password_and_reads_a_person():
    app = house_app(HouseForTests())
    said = {"person": "researcher-a", "password": PASSWORD}
    told = {"person": "researcher-a", "roles": ["researcher"], "projects": ["heart-failure"]}
    assert send(app, "POST", "/internal/v1/login", json=said).json() == told
    seen = {"client": "192.0.2.17", "browser": "Mozilla/5.0"}
    house = HouseForTests()
    assert send(house_app(house), "POST", "/internal/v1/login", json=said | seen).json() == told
    assert house.seen == Seen("192.0.2.17", "Mozilla/5.0")
    assert send(app, "GET", "/internal/v1/people/researcher-a").json() == told
    wrong = send(app, "POST", "/internal/v1/login", json=said | {"password": "wrong"})
    assert wrong.status_code == 401
    assert "wrong" not in wrong.text
    assert send(app, "POST", "/internal/v1/login", json={"person": "../x", "password": ""}).status_code == 422
    assert send(app, "GET", "/internal/v1/people/nobody").status_code == 401


def test_the_hub_opens_and_closes_a_session_and_meters_bytes():
    house = HouseForTests()
    app = house_app(house)
    wanted = {"person": "researcher-a", "project": "heart-failure"}
    opened = send(app, "POST", "/internal/v1/sessions", json=wanted)
    assert opened.status_code == 201
    assert set(opened.json()) == {"session", "nb_dir", "data_dir", "workspace"}
    assert send(app, "POST", "/internal/v1/sessions", json=wanted | {"project": "other"}).status_code == 403
    assert send(app, "POST", f"/internal/v1/sessions/{SESSION}/started", json={"ok": True}).status_code == 204
    metered = wanted | {"channel": "websocket", "bytes": 1024}
    assert send(app, "POST", "/internal/v1/meter", json=metered).status_code == 204
    assert send(app, "POST", "/internal/v1/meter", json=metered | {"bytes": -1}).status_code == 422
    assert send(app, "DELETE", f"/internal/v1/sessions/{SESSION}").status_code == 204
    assert send(app, "DELETE", "/internal/v1/sessions/..%2Fx").status_code == 404
    assert send(app, "DELETE", "/internal/v1/sessions/xyz").status_code == 404
    assert house.metered == [("researcher-a", "heart-failure", "websocket", 1024)]
    assert house.closed == [SESSION]


def test_an_unforeseen_error_is_told_and_logged_without_its_text(caplog: pytest.LogCaptureFixture):
    class Broken(HouseForTests):
        def datasets(self, person: Person, project: str) -> Any:
            raise ValueError("184126912345678 is in row 3")

    answer = send(data_app(Broken()), "GET", "/api/v1/datasets")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "unforeseen"
    assert "184126912345678" not in answer.text + caplog.text
    assert "ValueError" in caplog.text


def test_an_error_of_a_tool_keeps_its_code_and_its_status():
    from anonymisation.errors import BadQuestion

    class Asking(HouseForTests):
        def price(self, person: Person, project: str, question: Any) -> Any:
            raise BadQuestion("column_unknown", "There is no column sexe.", "", column="sexe", closest="sex")

    answer = send(data_app(Asking()), "POST", "/api/v1/price", json={"question": {}})
    assert answer.status_code == 422
    assert "« sexe »" in answer.json()["error"]["message"].replace("\u202f", " ")
    assert answer.json()["error"]["to_do"].endswith("sex.")


def test_an_error_outside_the_application_is_told_in_the_houses_words_too():
    from enclave.web import refusals
    from enclave.web.last_resort import LastResort

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("184126912345678")

    answer = send(LastResort(broken, refusals.answer_with(refusals.unforeseen())), "GET", "/")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "unforeseen"
