"""The tables of the release desk: lines appended once, never changed."""

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from enclave.house_table import Line


class RequestLine(Line, table=True):
    __tablename__ = "release_request"
    id: str = Field(unique=True)
    project: str = Field(index=True)
    author: str = Field(index=True)
    title: str
    purpose: str
    created: str


class AboutRequest(Line):
    """A line about a request, which must exist."""

    request: str = Field(foreign_key="release_request.id", index=True)
    at: str


class MoveLine(AboutRequest, table=True):
    __tablename__ = "release_move"
    act: str
    source: str
    target: str
    actor: str
    note: str


class FileLine(AboutRequest, table=True):
    """A file of one edition of a request; the newest edition is what the request holds."""

    __tablename__ = "release_file"
    __table_args__ = (UniqueConstraint("request", "edition", "sha256"),)
    edition: int
    name: str
    sha256: str
    bytes: int
    supporting: bool


class CheckLine(AboutRequest, table=True):
    __tablename__ = "release_check"
    round: int
    verdict: str
    report: str


class FileVoteLine(AboutRequest, table=True):
    __tablename__ = "release_file_vote"
    reviewer: str
    round: int
    sha256: str
    choice: str
    note: str


class ReviewLine(AboutRequest, table=True):
    __tablename__ = "release_review"
    __table_args__ = (UniqueConstraint("request", "round", "reviewer"),)
    reviewer: str
    role: str
    round: int
    choice: str
    files: str


class WaiverLine(AboutRequest, table=True):
    __tablename__ = "release_waiver"
    __table_args__ = (UniqueConstraint("request", "round", "steward"),)
    steward: str
    round: int
    note: str


class PartnerWordLine(AboutRequest, table=True):
    __tablename__ = "release_partner_word"
    __table_args__ = (UniqueConstraint("request", "round", "partner"),)
    partner: str
    round: int
    agrees: bool
    delegate: str | None
    note: str


class PackageLine(AboutRequest, table=True):
    __tablename__ = "release_package"
    __table_args__ = (UniqueConstraint("request"),)
    sha256: str
    bytes: int
    tagmanifest_sha256: str
