"""The list of open addresses: what JupyterLab and the hub need passes, the rest does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enclave.errors import Refused
from enclave.hub.allowed import HUB_RULES, SERVER_RULES, Channel, Door, find_passage
from enclave.hub.canonical import Target, read_target

SERVER = "/user/researcher-a/study-one"


@pytest.mark.parametrize(
    ("method", "path", "door", "channel"),
    [
        ("GET", "/", Door.HOME, Channel.PAGE),
        ("GET", "/favicon.ico", Door.ASSET, Channel.PAGE),
        ("GET", "/hub/", Door.HOME, Channel.PAGE),
        ("GET", "/hub/home", Door.HOME, Channel.PAGE),
        ("POST", "/hub/login", Door.LOGIN, Channel.PAGE),
        ("GET", "/hub/spawn/researcher-a/study-one", Door.HUB, Channel.PAGE),
        ("GET", "/hub/spawn-pending/researcher-a/study-one", Door.HUB, Channel.PAGE),
        ("GET", "/hub/api/oauth2/authorize", Door.HUB, Channel.PAGE),
        ("DELETE", "/hub/api/users/researcher-a/servers/study-one", Door.HUB, Channel.PAGE),
        ("GET", "/enclave/", Door.PAGES, Channel.PAGE),
        ("POST", "/enclave/api/v1/ask", Door.PAGES, Channel.PAGE),
        ("GET", f"{SERVER}/", Door.LAB, Channel.PAGE),
        ("GET", f"{SERVER}/lab/tree/a/b.ipynb", Door.LAB, Channel.PAGE),
        ("GET", f"{SERVER}/static/lab/main.js", Door.ASSET, Channel.PAGE),
        ("PUT", f"{SERVER}/api/contents/a/b.ipynb", Door.DATA, Channel.CONTENTS),
        ("GET", f"{SERVER}/api/kernels/0/channels", Door.DATA, Channel.KERNEL),
        ("PUT", f"{SERVER}/lab/api/settings/@jupyterlab/x:y", Door.DATA, Channel.PAGE),
    ],
)
def test_what_is_needed_passes(method: str, path: str, door: Door, channel: Channel) -> None:
    passage = find_passage(method, read_target(path))
    assert (passage.door, passage.channel) == (door, channel)
    assert passage.person == ("researcher-a" if path.startswith("/user/") else "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{SERVER}/files/data.csv"),
        ("GET", f"{SERVER}/%66iles/data.csv"),
        ("GET", f"{SERVER}/FILES/data.csv"),
        ("GET", f"{SERVER}/view/data.csv"),
        ("GET", f"{SERVER}/nbconvert/html/n.ipynb"),
        ("GET", f"{SERVER}/api/nbconvert"),
        ("POST", f"{SERVER}/api/terminals"),
        ("GET", f"{SERVER}/metrics"),
        ("GET", f"{SERVER}/lab/api/extensions"),
        ("POST", f"{SERVER}/api/shutdown"),
        ("GET", f"{SERVER}/api/spec.yaml"),
        ("POST", f"{SERVER}/api/config/notebook"),
        ("PATCH", f"{SERVER}/api/config/notebook"),
        ("PUT", f"{SERVER}/static/lab/main.js"),
        ("TRACE", f"{SERVER}/api/status"),
        ("CONNECT", "/"),
        ("OPTIONS", "/enclave/"),
        ("GET", "/user/researcher-a"),
        ("GET", "/user/researcher-a/Study/api/contents"),
        ("GET", "/user/researcher-a/study_one/lab"),
        ("GET", "/hub/admin"),
        ("GET", "/hub/token"),
        ("GET", "/hub/spawn"),
        ("GET", "/hub/spawn/researcher-a"),
        ("GET", "/hub/metrics"),
        ("GET", "/hub/accept-share"),
        ("POST", "/hub/api/oauth2/token"),
        ("GET", "/hub/api/user"),
        ("POST", "/hub/api/users/researcher-a/servers/study-one"),
        ("GET", "/services/pages"),
        ("GET", "/internal/v1/people/researcher-a"),
        ("POST", "/favicon.ico"),
    ],
)
def test_what_is_not_listed_is_closed(method: str, path: str) -> None:
    with pytest.raises(Refused):
        find_passage(method, read_target(path))


@settings(max_examples=200)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
    st.lists(
        st.sampled_from(["api", "files", "lab", "static", "view", "metrics", "contents", "x"]), max_size=4
    ),
)
def test_only_a_listed_first_name_opens_a_server(method: str, rest: list[str]) -> None:
    target = Target(("user", "a", "b", *rest), is_folder=False, query="")
    try:
        find_passage(method, target)
    except Refused:
        return
    assert not rest or rest[0] in {"api", "lab", "static"}


def test_no_rule_is_shadowed_by_an_earlier_one() -> None:
    for rules in (HUB_RULES, SERVER_RULES):
        for rule in rules:
            sample = [name.replace("{one}", "x").replace("{rest}", "y") for name in rule.pattern]
            first = next(earlier for earlier in rules if earlier.admits(min(rule.methods), sample))
            assert first.door == rule.door
