"""What a package says about the release it holds, and nothing that says who a person is beyond an id."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from vault.errors import VaultUsage

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ID: Final = re.compile(r"[a-z][a-z0-9-]{0,29}")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")


@dataclass(frozen=True)
class Vote:
    """One reviewer's approval; `decided` is an ISO 8601 instant in UTC."""

    reviewer: str
    role: str
    decided: str


@dataclass(frozen=True)
class Source:
    """A dataset version the outputs come from, by the hash of its manifest."""

    dataset: str
    version: int
    manifest_sha256: str


@dataclass(frozen=True)
class PackageRequest:
    """An approved release. Persons are pseudonymous ids; instants are ISO 8601 in UTC.

    `checks` is the report of the output checks ({"policy","verdict","files"}); `house` names the enclave that
    releases; `licence` is a URL or a sentence; `packaged` is the date the package carries.
    """

    request: str
    title: str
    purpose: str
    project: str
    author: str
    house: str
    submitted: str
    approved: str
    packaged: str
    votes: tuple[Vote, ...]
    datasets: tuple[Source, ...]
    checks: Mapping[str, Any]
    licence: str


def check_request(request: PackageRequest) -> None:
    """Check that every id, hash and instant is one: they become file names, headers and JSON-LD ids."""
    persons = [request.author, *(vote.reviewer for vote in request.votes)]
    ids = [request.project, *persons, *(source.dataset for source in request.datasets)]
    instants = [
        request.submitted,
        request.approved,
        request.packaged,
        *(vote.decided for vote in request.votes),
    ]
    hashes = [source.manifest_sha256 for source in request.datasets]
    for pattern, texts in ((UUID, [request.request]), (ID, ids), (INSTANT, instants), (SHA256, hashes)):
        if not all(pattern.fullmatch(text) for text in texts):
            raise VaultUsage(
                "package_request_malformed", "An id, an instant or a hash of the request is malformed."
            )
    if not request.votes:
        raise VaultUsage("package_without_vote", "A release nobody approved is not packaged.")


def one_line(text: str) -> str:
    """Give a text for people on one line, without control, format or private characters."""
    spaced = " ".join(text.split())
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")
