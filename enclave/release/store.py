"""Keeps requests and every word said about them; the status is the newest step, never a field to be set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from enclave.errors import NotFound, Refused
from enclave.house_table import newest, reading, writing
from enclave.receipt import Receipt, require
from enclave.release.states import EVENTS, Act, Status, after, left_by
from enclave.release.tables import (
    AboutRequest,
    CheckLine,
    FileLine,
    FileVoteLine,
    MoveLine,
    PackageLine,
    PartnerWordLine,
    RequestLine,
    ReviewLine,
    WaiverLine,
)
from enclave.release.words import (
    Check,
    CheckVerdict,
    Choice,
    FileVote,
    Move,
    OutputFile,
    Package,
    PartnerWord,
    ReleaseRequest,
    Review,
    Waiver,
)

BETWEEN = " "


@dataclass(frozen=True)
class Step:
    """An act on a request as it is written: by whom, when, why, under which receipt, on which round.

    `seen` is the request the act was decided on; one that has moved on meanwhile refuses it.
    """

    act: Act
    actor: str
    at: datetime
    receipt: Receipt
    note: str = ""
    seen: ReleaseRequest | None = None

    @property
    def round(self) -> int:
        """The round the act is about."""
        return 0 if self.seen is None else self.seen.round


class ReleaseStore:
    """Requests, reviews and packages; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- reading

    def request(self, request: str) -> ReleaseRequest:
        """Raises `NotFound`."""
        with reading(self._engine) as session:
            return _load(session, request)

    def requests(
        self,
        *,
        project: str | None = None,
        author: str | None = None,
        statuses: frozenset[Status] | None = None,
    ) -> tuple[ReleaseRequest, ...]:
        """Give requests, oldest first; each criterion narrows."""
        where = [col(RequestLine.project) == project] if project is not None else []
        where += [col(RequestLine.author) == author] if author is not None else []
        with reading(self._engine) as session:
            found = _assemble(session, where)
        return tuple(one for one in found if statuses is None or one.status in statuses)

    def moves(self, request: str) -> tuple[Move, ...]:
        """Give the whole life of a request, oldest step first."""
        return tuple(_move(line) for line in self._lines(MoveLine, request))

    def reviews(self, request: str) -> tuple[Review, ...]:
        """Give the reviews of every round, in the order they were given."""
        return tuple(_review(line) for line in self._lines(ReviewLine, request))

    def file_votes(self, request: str) -> tuple[FileVote, ...]:
        """Give the votes on files of every round, oldest first; a later one of the same person counts."""
        return tuple(_file_vote(line) for line in self._lines(FileVoteLine, request))

    def waivers(self, request: str) -> tuple[Waiver, ...]:
        return tuple(
            Waiver(line.steward, line.round, line.note, _time(line.at))
            for line in self._lines(WaiverLine, request)
        )

    def partner_words(self, request: str) -> tuple[PartnerWord, ...]:
        return tuple(_partner_word(line) for line in self._lines(PartnerWordLine, request))

    def check(self, request: str, number: int) -> Check | None:
        """Give the newest report of the checks on a round."""
        lines = [line for line in self._lines(CheckLine, request) if line.round == number]
        return _check(lines[-1]) if lines else None

    # --- writing

    def create(self, request: ReleaseRequest, receipt: Receipt) -> None:
        """Begin a draft with its files."""
        require(receipt, "release.create", f"request:{request.id}")
        with writing(self._engine) as session:
            session.add(
                RequestLine(
                    id=request.id,
                    project=request.project,
                    author=request.author,
                    title=request.title,
                    purpose=request.purpose,
                    created=request.created.isoformat(),
                    event_id=receipt.event_id,
                    event_index=receipt.index,
                )
            )
            session.flush()
            first = Step(Act.EDIT, request.author, request.created, receipt)
            _add_step(session, request.id, Status.DRAFT, Status.DRAFT, first)
            _add_files(session, request.id, 1, request.files, first)

    def replace_files(self, request: str, files: Sequence[OutputFile], step: Step) -> ReleaseRequest:
        """Give a draft or a returned request other files; the former ones stay in its history."""
        with writing(self._engine) as session:
            _take(session, request, step)
            _add_files(session, request, _edition(session, request) + 1, files, step)
            return _load(session, request)

    def move(self, request: str, step: Step) -> ReleaseRequest:
        """Take a step that brings nothing else with it.

        Raises `Refused` with `not_in_this_state` or `request_changed`, `NotFound` for an unknown request.
        """
        with writing(self._engine) as session:
            _take(session, request, step)
            return _load(session, request)

    def add_check(self, request: str, check: Check, step: Step) -> ReleaseRequest:
        """Keep what the checks said and pass or block the request."""
        values = {"round": check.round, "verdict": check.verdict, "report": check.report}
        return self._move_with(request, CheckLine, values, step)

    def add_file_vote(self, seen: ReleaseRequest, vote: FileVote, receipt: Receipt) -> None:
        """Keep a vote on a file of the request as it was seen; it moves nothing until the review is complete."""
        require(receipt, "release.review", f"request:{seen.id}")
        values = {
            "reviewer": vote.reviewer,
            "round": vote.round,
            "sha256": vote.sha256,
            "choice": vote.choice.value,
            "note": vote.note,
        }
        with writing(self._engine) as session:
            _unmoved(_load(session, seen.id), seen)
            _add(session, FileVoteLine, seen.id, vote.at, receipt, values)

    def add_review(
        self, request: str, role: str, choice: Choice, files: frozenset[str], step: Step
    ) -> ReleaseRequest:
        """Keep a complete review; one a person and round, for ever."""
        values = {
            "reviewer": step.actor,
            "role": role,
            "round": step.round,
            "choice": choice.value,
            "files": BETWEEN.join(sorted(files)),
        }
        return self._move_with(request, ReviewLine, values, step)

    def add_waiver(self, request: str, step: Step) -> ReleaseRequest:
        """Keep a senior steward's exception; the second lifts the block."""
        values = {"steward": step.actor, "round": step.round, "note": step.note}
        return self._move_with(request, WaiverLine, values, step)

    def add_partner_word(self, request: str, word: PartnerWord, step: Step) -> ReleaseRequest:
        """Keep what a partner said, or its silence."""
        values = {
            "partner": word.partner,
            "round": word.round,
            "agrees": word.agrees,
            "delegate": word.delegate,
            "note": word.note,
        }
        return self._move_with(request, PartnerWordLine, values, step)

    def add_package(self, request: str, package: Package, step: Step) -> ReleaseRequest:
        """Keep the hashes of the sealed package and release it."""
        values = {
            "sha256": package.sha256,
            "bytes": package.bytes,
            "tagmanifest_sha256": package.tagmanifest_sha256,
        }
        return self._move_with(request, PackageLine, values, step)

    def _move_with(
        self, request: str, table: type[AboutRequest], values: dict[str, Any], step: Step
    ) -> ReleaseRequest:
        with writing(self._engine) as session:
            _take(session, request, step)
            _add(session, table, request, step.at, step.receipt, values)
            return _load(session, request)

    def _lines(self, table: Any, request: str) -> list[Any]:
        with reading(self._engine) as session:
            return list(
                session.exec(select(table).where(col(table.request) == request).order_by(col(table.n)))
            )


# --- steps


def _take(session: Session, request: str, step: Step) -> None:
    """Ask the table under the write lock, so that of two acts at once the second sees the first."""
    require(step.receipt, EVENTS[step.act], f"request:{request}")
    now = _load(session, request)
    _unmoved(now, step.seen)
    _add_step(session, request, now.status, after(now.status, step.act, now.left), step)


def _unmoved(now: ReleaseRequest, seen: ReleaseRequest | None) -> None:
    """Refuse what was decided on another state, another round or other bytes than there are now."""
    if seen is not None and (now.status, now.round, now.hashes) != (seen.status, seen.round, seen.hashes):
        raise Refused(
            "request_changed",
            "The request has moved on while you decided.",
            "Open it again.",
            request=now.id,
        )


def _add_step(session: Session, request: str, source: Status, target: Status, step: Step) -> None:
    values = {
        "act": step.act.value,
        "source": source.value,
        "target": target.value,
        "actor": step.actor,
        "note": step.note,
    }
    _add(session, MoveLine, request, step.at, step.receipt, values)


def _add_files(session: Session, request: str, edition: int, files: Sequence[OutputFile], step: Step) -> None:
    for file in files:
        _add(session, FileLine, request, step.at, step.receipt, {"edition": edition, **vars(file)})


def _add(
    session: Session,
    table: type[AboutRequest],
    request: str,
    at: datetime,
    receipt: Receipt,
    values: dict[str, Any],
) -> None:
    session.add(
        table(
            request=request,
            at=at.isoformat(),
            event_id=receipt.event_id,
            event_index=receipt.index,
            **values,
        )
    )
    try:
        session.flush()
    except IntegrityError as twice:
        raise Refused(
            "already_said", "The same was said meanwhile.", "Open the request again.", request=request
        ) from twice


def _edition(session: Session, request: str) -> int:
    return session.exec(select(func.max(FileLine.edition)).where(col(FileLine.request) == request)).one()


# --- from lines to words


def _load(session: Session, request: str) -> ReleaseRequest:
    found = _assemble(session, [col(RequestLine.id) == request])
    if not found:
        raise NotFound("no_such_request", "There is no such request.", "Check its id.", id=request)
    return found[0]


def _assemble(session: Session, where: Sequence[Any]) -> list[ReleaseRequest]:
    lines = list(session.exec(select(RequestLine).where(*where).order_by(col(RequestLine.n))))
    ids = select(RequestLine.id).where(*where)
    last = {
        move.request: move
        for move in newest(session, MoveLine, MoveLine.request, where=[col(MoveLine.request).in_(ids)])
    }
    rounds = _rounds(session, ids)
    files = _files(session, ids)
    packages = _packages(session, ids)
    return [
        _request(line, last[line.id], rounds.get(line.id, 0), files[line.id], packages.get(line.id))
        for line in lines
    ]


def _rounds(session: Session, ids: Any) -> dict[str, int]:
    counts = (
        select(MoveLine.request, func.count())
        .where(col(MoveLine.act) == Act.SUBMIT.value, col(MoveLine.request).in_(ids))
        .group_by(col(MoveLine.request))
    )
    return dict(session.exec(counts).all())


def _files(session: Session, ids: Any) -> dict[str, tuple[OutputFile, ...]]:
    editions: dict[str, dict[int, list[OutputFile]]] = {}
    lines = select(FileLine).where(col(FileLine.request).in_(ids)).order_by(col(FileLine.n))
    for line in session.exec(lines):
        file = OutputFile(line.name, line.sha256, line.bytes, line.supporting)
        editions.setdefault(line.request, {}).setdefault(line.edition, []).append(file)
    return {request: tuple(of[max(of)]) for request, of in editions.items()}


def _packages(session: Session, ids: Any) -> dict[str, Package]:
    lines = session.exec(select(PackageLine).where(col(PackageLine.request).in_(ids)))
    return {line.request: Package(line.sha256, line.bytes, line.tagmanifest_sha256) for line in lines}


def _request(
    line: RequestLine,
    last: MoveLine,
    number: int,
    files: tuple[OutputFile, ...],
    package: Package | None,
) -> ReleaseRequest:
    return ReleaseRequest(
        id=line.id,
        project=line.project,
        author=line.author,
        title=line.title,
        purpose=line.purpose,
        created=_time(line.created),
        status=Status(last.target),
        left=left_by(Status(last.source), Act(last.act)),
        since=_time(last.at),
        round=number,
        files=files,
        package=package,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _move(line: MoveLine) -> Move:
    return Move(
        act=Act(line.act),
        source=Status(line.source),
        target=Status(line.target),
        actor=line.actor,
        note=line.note,
        at=_time(line.at),
        event_id=line.event_id,
        event_index=line.event_index,
    )


def _review(line: ReviewLine) -> Review:
    return Review(
        reviewer=line.reviewer,
        role=line.role,
        round=line.round,
        choice=Choice(line.choice),
        files=frozenset(line.files.split()),
        at=_time(line.at),
        event_index=line.event_index,
    )


def _file_vote(line: FileVoteLine) -> FileVote:
    return FileVote(
        reviewer=line.reviewer,
        round=line.round,
        sha256=line.sha256,
        choice=Choice(line.choice),
        note=line.note,
        at=_time(line.at),
    )


def _partner_word(line: PartnerWordLine) -> PartnerWord:
    return PartnerWord(
        partner=line.partner,
        round=line.round,
        agrees=line.agrees,
        delegate=line.delegate,
        note=line.note,
        at=_time(line.at),
    )


def _check(line: CheckLine) -> Check:
    return Check(line.round, cast("CheckVerdict", line.verdict), line.report, _time(line.at))
