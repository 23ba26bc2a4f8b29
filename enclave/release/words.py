"""What asks to leave, what was said about it, and by whom."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from enclave.release.states import Act, Status


class Choice(StrEnum):
    """What a reviewer says about one file, and so about a request."""

    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"


CheckVerdict = Literal["pass", "review", "fail"]


@dataclass(frozen=True)
class OutputFile:
    """A file of a request. A supporting file is reviewed with the others and never leaves."""

    name: str
    sha256: str
    bytes: int
    supporting: bool = False


@dataclass(frozen=True)
class FileVote:
    """One reviewer's word on the exact bytes of one file, in one round."""

    reviewer: str
    round: int
    sha256: str
    choice: Choice
    note: str
    at: datetime


@dataclass(frozen=True)
class Review:
    """A reviewer has spoken on every file of a round; from here on it cannot be changed."""

    reviewer: str
    role: str
    round: int
    choice: Choice
    files: frozenset[str]
    at: datetime
    event_index: int


class Decision(StrEnum):
    """What two reviews come to; THIRD asks a senior steward who has not voted."""

    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    THIRD = "third"


@dataclass(frozen=True)
class Verdict:
    """What the reviews so far come to, and on which files; None while they are too few."""

    decision: Decision
    reviewers: tuple[str, ...]
    files: frozenset[str]


@dataclass(frozen=True)
class Waiver:
    """A senior steward's reasoned exception to a block."""

    steward: str
    round: int
    note: str
    at: datetime


@dataclass(frozen=True)
class PartnerWord:
    """What a partner's delegate said of a release of its data; `delegate` is None when silence spoke."""

    partner: str
    round: int
    agrees: bool
    delegate: str | None
    note: str
    at: datetime


@dataclass(frozen=True)
class Check:
    """What the automatic checks said of a round: the report as JSON (interfaces 20)."""

    round: int
    verdict: CheckVerdict
    report: str
    at: datetime


@dataclass(frozen=True)
class Move:
    """One step of a request's life, as kept for ever."""

    act: Act
    source: Status
    target: Status
    actor: str
    note: str
    at: datetime
    event_id: str
    event_index: int


@dataclass(frozen=True)
class Package:
    """A sealed release: the hash of the sealed bytes, and of the tag manifest the trail holds."""

    sha256: str
    bytes: int
    tagmanifest_sha256: str


@dataclass(frozen=True)
class ReleaseRequest:
    """A request as it stands. `left` is the state a failure left; `round` counts the submissions."""

    id: str
    project: str
    author: str
    title: str
    purpose: str
    created: datetime
    status: Status
    left: Status | None
    since: datetime
    round: int
    files: tuple[OutputFile, ...]
    package: Package | None = None

    @property
    def outputs(self) -> tuple[OutputFile, ...]:
        """The files that would leave."""
        return tuple(file for file in self.files if not file.supporting)

    @property
    def leaving(self) -> frozenset[str]:
        """The SHA-256 of the files that would leave."""
        return frozenset(file.sha256 for file in self.outputs)

    @property
    def hashes(self) -> frozenset[str]:
        """The SHA-256 of every file, supporting ones too."""
        return frozenset(file.sha256 for file in self.files)
