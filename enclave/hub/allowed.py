"""The doors of the gateway: which method may be used on which canonical path. What is not listed is closed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from enclave.errors import Refused
from enclave.hub.canonical import Target

# A person's or project's id (the house's own form, and a safe hub slug).
ID = re.compile(r"[a-z][a-z0-9-]{0,29}")
ONE, REST = "{one}", "{rest}"
ICON = ("favicon.ico",)  # browsers ask for it by themselves
READ = frozenset({"GET", "HEAD"})
SEND = READ | {"POST"}
ALL = SEND | {"PUT", "PATCH", "DELETE"}


class Door(Enum):
    """Who answers behind the gateway, which decides on headers, metering and origin."""

    HOME = "home"  # redirected to the pages
    PAGES = "pages"
    HUB = "hub"
    LOGIN = "login"  # the hub's, with the strictest policy: a password is typed there
    LAB = "lab"  # a page of JupyterLab, from the sandbox
    DATA = "data"  # anything else from the sandbox
    ASSET = "asset"  # a file of the notebook environment, served by the gateway itself


class Channel(Enum):
    """What the trail tells apart: files and sessions, a kernel's messages, the rest of the page."""

    CONTENTS = "api"
    KERNEL = "websocket"
    PAGE = "page"


@dataclass(frozen=True)
class Passage:
    """A request that may pass: through which door, and whose server it is for below `/user/`."""

    door: Door
    person: str = ""
    project: str = ""
    channel: Channel = Channel.PAGE
    rest: tuple[str, ...] = ()


def server_prefix(passage: Passage) -> str:
    """Give the path below which a person's server answers."""
    return f"/user/{passage.person}/{passage.project}/"


@dataclass(frozen=True)
class Rule:
    """Methods on a pattern of names; `{one}` stands for one name, a final `{rest}` for any number."""

    methods: frozenset[str]
    pattern: tuple[str, ...]
    door: Door
    channel: Channel = Channel.PAGE

    def admits(self, method: str, segments: Sequence[str]) -> bool:
        """Say whether the rule covers this request."""
        return method in self.methods and _matches(self.pattern, segments)


def _matches(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    if pattern and pattern[-1] == REST:
        head = pattern[:-1]
        return len(segments) >= len(head) and _matches(head, segments[: len(head)])
    same_length = len(pattern) == len(segments)
    return same_length and all(want in {ONE, got} for want, got in zip(pattern, segments, strict=True))


def _rules(methods: frozenset[str], door: Door, *paths: str, channel: Channel = Channel.PAGE) -> list[Rule]:
    return [Rule(methods, tuple(name for name in path.split("/") if name), door, channel) for path in paths]


HUB_RULES: Sequence[Rule] = [
    *_rules(READ, Door.HOME, "", "home"),
    *_rules(SEND, Door.LOGIN, "login"),
    *_rules(READ, Door.HUB, "logout", "logo", "health", "static/{rest}"),
    *_rules(READ, Door.HUB, "spawn-pending/{one}/{one}", "user/{one}/{one}/{rest}"),
    *_rules(SEND, Door.HUB, "spawn/{one}/{one}", "api/oauth2/authorize"),
    *_rules(READ, Door.HUB, "api/users/{one}/servers/{one}/progress"),
    *_rules(frozenset({"DELETE"}), Door.HUB, "api/users/{one}/servers/{one}"),
]

# Below /user/<person>/<project>/: what JupyterLab asks for, and no file that is not source text.
SERVER_RULES: Sequence[Rule] = [
    *_rules(READ, Door.LAB, "", "lab", "lab/tree/{rest}", "lab/workspaces/{rest}"),
    *_rules(READ, Door.LAB, "oauth_callback", "logout"),
    *_rules(READ, Door.ASSET, "static/{rest}", "lab/extensions/{rest}", "lab/api/themes/{rest}"),
    *_rules(ALL, Door.DATA, "api/contents", "api/contents/{rest}", channel=Channel.CONTENTS),
    *_rules(READ, Door.DATA, "api/kernels/{one}/channels", channel=Channel.KERNEL),
    *_rules(ALL, Door.DATA, "api/sessions", "api/sessions/{one}", "api/kernels", "api/kernels/{one}"),
    *_rules(frozenset({"POST"}), Door.DATA, "api/kernels/{one}/interrupt", "api/kernels/{one}/restart"),
    *_rules(READ, Door.DATA, "api", "api/status", "api/me", "api/kernelspecs", "api/kernelspecs/{one}"),
    *_rules(READ, Door.DATA, "api/config/{one}", "api/events/subscribe"),
    *_rules(READ, Door.DATA, "lab/api/translations", "lab/api/translations/{one}"),
    *_rules(READ | {"PUT"}, Door.DATA, "lab/api/settings", "lab/api/settings/{rest}"),
    *_rules(READ | {"PUT", "DELETE"}, Door.DATA, "lab/api/workspaces", "lab/api/workspaces/{rest}"),
]


def _closed() -> Refused:
    return Refused("address_closed", "The address is not on the list of open ones.")


def _first(rules: Iterable[Rule], method: str, segments: Sequence[str]) -> Rule:
    for rule in rules:
        if rule.admits(method, segments):
            return rule
    raise _closed()


def _hub(method: str, segments: tuple[str, ...]) -> Passage:
    return Passage(_first(HUB_RULES, method, segments).door)


def _pages(method: str, segments: tuple[str, ...]) -> Passage:
    if method not in ALL:
        raise _closed()
    return Passage(Door.PAGES, rest=segments)


def _server(method: str, segments: tuple[str, ...]) -> Passage:
    person, project, *rest = segments if len(segments) > 1 else ("", "")
    if not ID.fullmatch(person) or not ID.fullmatch(project):
        raise _closed()
    rule = _first(SERVER_RULES, method, rest)
    return Passage(rule.door, person, project, rule.channel, tuple(rest))


def find_passage(method: str, target: Target) -> Passage:
    """Say through which door a request may pass. Raises `Refused` when it is not on the list."""
    if not target.segments and method in READ:
        return Passage(Door.HOME)
    if target.segments == ICON and method in READ:
        return Passage(Door.ASSET, rest=("static", "favicons", "favicon.ico"))
    first, *rest = target.segments or ("",)
    areas = {"hub": _hub, "user": _server, "enclave": _pages}
    if first not in areas:
        raise _closed()
    return areas[first](method, tuple(rest))
