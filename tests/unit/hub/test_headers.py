"""What passes between browser and component: nothing hop by hop, nothing forged, nothing that leads away."""

import pytest

from enclave.hub.allowed import Door, Passage
from enclave.hub.headers import (
    answer_headers,
    cookie_stays_below,
    is_attachment,
    is_own_place,
    request_headers,
)

ORIGIN = "http://127.0.0.1:8800"
SERVER = Passage(Door.LAB, "researcher-a", "study-one")


def sent(headers: dict[str, str], passage: Passage = SERVER) -> dict[str, str]:
    return dict(request_headers(headers.items(), headers, passage, "127.0.0.1", "http"))


def test_hop_by_hop_and_what_connection_names_are_dropped() -> None:
    headers = {
        "Connection": "close, X-Secret",
        "X-Secret": "1",
        "Transfer-Encoding": "chunked",
        "Accept": "a",
    }
    assert set(sent(headers)) == {"Accept", "X-Forwarded-For", "X-Forwarded-Proto"}


def test_a_client_cannot_say_where_it_comes_from() -> None:
    forged = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "Forwarded": "for=x",
        "X-Forwarded-Host": "y",
    }
    assert sent(forged) == {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}


def test_a_token_sent_to_the_hub_is_dropped() -> None:
    header = {"Authorization": "token x"}
    assert "Authorization" not in sent(header, Passage(Door.HUB))
    assert "Authorization" in sent(header, Passage(Door.PAGES))


def test_what_is_metered_is_asked_for_uncompressed() -> None:
    header = {"Accept-Encoding": "gzip"}
    assert "Accept-Encoding" not in sent(header)
    assert "Accept-Encoding" in sent(header, Passage(Door.PAGES))


@pytest.mark.parametrize("door", list(Door))
def test_every_answer_forbids_frames_and_names_a_policy(door: Door) -> None:
    headers = answer_headers(Passage(door, "a", "b"), ORIGIN)
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("door", [Door.PAGES, Door.LOGIN, Door.DATA, Door.ASSET])
def test_script_inline_is_open_to_the_hub_and_to_jupyterlab_only(door: Door) -> None:
    policy = answer_headers(Passage(door), ORIGIN)["Content-Security-Policy"]
    scripts = next((part for part in policy.split("; ") if part.startswith("script-src")), "")
    assert "unsafe" not in scripts


def test_jupyterlab_speaks_to_its_own_server_only() -> None:
    policy = answer_headers(SERVER, ORIGIN)["Content-Security-Policy"]
    own = "127.0.0.1:8800/user/researcher-a/study-one/"
    assert f"connect-src http://{own} ws://{own};" in policy
    assert f"form-action http://{own};" in policy
    assert "'self'" not in policy


def test_jupyterlab_and_the_pages_never_share_a_window_group() -> None:
    name = "Cross-Origin-Opener-Policy"
    assert answer_headers(SERVER, ORIGIN)[name] != answer_headers(Passage(Door.PAGES), ORIGIN)[name]


@pytest.mark.parametrize("place", ["", "/enclave/", "lab?x", f"{ORIGIN}/hub/", "?next=//x"])
def test_a_redirect_within_passes(place: str) -> None:
    assert is_own_place(place, ORIGIN)


@pytest.mark.parametrize(
    "place",
    [
        "//x",
        "/\\x",
        "\\\\x",
        "https://x/",
        "http://127.0.0.1:8801/",
        "javascript:x",
        " //x",
        "/\t/x",
        f"{ORIGIN}.x/",
    ],
)
def test_a_redirect_to_elsewhere_is_seen(place: str) -> None:
    assert not is_own_place(place, ORIGIN)


@pytest.mark.parametrize("text", ['attachment; filename="x"', "ATTACHMENT", "inline, attachment"])
def test_a_download_is_seen(text: str) -> None:
    assert is_attachment(text)
    assert not is_attachment('inline; filename="x"')


def test_a_server_sets_cookies_for_itself_only() -> None:
    prefix = "/user/a/b/"
    assert cookie_stays_below("x=1; Path=/user/a/b/; HttpOnly", prefix)
    for cookie in ("x=1; Path=/", "x=1", "x=1; Path=/hub/", "x=1; Path=/user/a/b/; Domain=example.org"):
        assert not cookie_stays_below(cookie, prefix)
