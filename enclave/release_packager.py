"""Puts a release into the vault's package: who approved what, the checks, and the proof that the trail holds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from enclave.agreements.store import AgreementStore
from enclave.recorder_client import RecorderClient
from enclave.recording import Recorded
from enclave.release.desk import Bag as AnyBag
from enclave.release.states import Act
from enclave.release.store import ReleaseStore
from enclave.release.words import Move, ReleaseRequest
from vault.keys import KeyService
from vault.package import Bag, build_bag, seal
from vault.release_words import PackageRequest, Source, Vote

# What a recipient may do with the outputs is between the project and its partners; the package does not widen it.
LICENCE: Final = (
    "Usage limited to the purpose stated in the request, as agreed between the project and its partners."
)


@dataclass(frozen=True)
class ReleasePackager:
    """Builds and seals packages with the house's own stores, trail and signing key."""

    house: str
    releases: ReleaseStore
    agreements: AgreementStore
    recorder: RecorderClient
    keys: KeyService
    now: Callable[[], datetime]

    def bag(self, request: ReleaseRequest, files: Mapping[str, bytes], approved_by: Sequence[str]) -> Bag:
        """Lay the outputs and what was decided about them into a bag."""
        moves = self.releases.moves(request.id)
        check = self.releases.check(request.id, request.round)
        return build_bag(
            PackageRequest(
                request=request.id,
                title=request.title,
                purpose=request.purpose,
                project=request.project,
                author=request.author,
                house=self.house,
                submitted=_instant(_last(moves, Act.SUBMIT).at),
                approved=_instant(_last(moves, Act.APPROVE).at),
                packaged=_instant(self.now()),
                votes=self._votes(request, approved_by),
                datasets=self._sources(request.project),
                checks=orjson.loads(check.report) if check is not None else {},
                licence=LICENCE,
            ),
            files,
        )

    def seal(self, bag: AnyBag, receipt: Recorded) -> bytes:
        """Sign the bag that the trail holds, and give the zip."""
        if not isinstance(bag, Bag):
            raise TypeError("a packager seals the bags it built")
        return seal(
            bag,
            sign=lambda data: self.keys.sign("package", data),
            public_key=self.keys.public_key("package"),
            receipt=receipt,
            tlog_proof=self.recorder.proof(receipt.index),
        )

    def _votes(self, request: ReleaseRequest, approved_by: Sequence[str]) -> tuple[Vote, ...]:
        given = [one for one in self.releases.reviews(request.id) if one.round == request.round]
        return tuple(
            Vote(one.reviewer, "steward", _instant(one.at)) for one in given if one.reviewer in approved_by
        )

    def _sources(self, project: str) -> tuple[Source, ...]:
        ids = sorted({agreement.dataset for agreement in self.agreements.agreements(project)})
        found = [self.agreements.dataset(dataset) for dataset in ids]
        return tuple(
            Source(one.id, one.version, one.manifest_sha256)
            for one in found
            if one.version is not None and one.manifest_sha256 is not None
        )


def _last(moves: Sequence[Move], act: Act) -> Move:
    return next(move for move in reversed(moves) if move.act is act)


def _instant(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
