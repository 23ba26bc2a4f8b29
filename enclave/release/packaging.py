"""Turns an approved request into the vault's sealed package, under this house's name and key."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from enclave.agreements.words import Dataset
from enclave.receipt import Receipt
from enclave.release.states import Act
from enclave.release.words import Check, Move, ReleaseRequest, Review
from vault.package import Bag, build_bag, seal
from vault.release_words import PackageRequest, Source, Vote


@dataclass(frozen=True)
class Approval:
    """Everything that was decided about a request, for the recipient to read."""

    request: ReleaseRequest
    approved_by: Sequence[Review]
    moves: Sequence[Move]
    check: Check
    datasets: Sequence[Dataset]

    def last(self, act: Act) -> datetime:
        """Give the moment an act was last done."""
        return max(move.at for move in self.moves if move.act is act)


@dataclass(frozen=True)
class Packager:
    """Who packages: the house's name, the licence it releases under, its key, its way to the log's proofs and stamps.

    `stamp` asks the time-stamping authority, where there is one, and gives None when it does not answer: a package is
    no less proven without.
    """

    house: str
    licence: str
    sign: Callable[[bytes], bytes]
    public_key: bytes
    prove: Callable[[int], str]
    stamp: Callable[[bytes], bytes | None] = lambda _checkpoint: None

    def bag(self, approval: Approval, files: Mapping[str, bytes], now: datetime) -> Bag:
        """Build the bag; the hash of its tag manifest goes into the trail before `seal`."""
        return build_bag(self._described(approval, now), files)

    def seal(self, bag: Bag, receipt: Receipt) -> bytes:
        """Sign the bag whose hash the receipt's event holds, and add the proof of that event."""
        return seal(
            bag,
            sign=self.sign,
            public_key=self.public_key,
            receipt=receipt,
            tlog_proof=self.prove(receipt.index),
            stamp=self.stamp,
        )

    def _described(self, approval: Approval, now: datetime) -> PackageRequest:
        request = approval.request
        return PackageRequest(
            request=request.id,
            title=request.title,
            purpose=request.purpose,
            project=request.project,
            author=request.author,
            house=self.house,
            submitted=approval.last(Act.SUBMIT).isoformat(),
            approved=approval.last(Act.APPROVE).isoformat(),
            packaged=now.isoformat(),
            votes=tuple(_vote(review) for review in approval.approved_by),
            datasets=tuple(_source(dataset) for dataset in approval.datasets if dataset.version),
            checks=json.loads(approval.check.report),
            licence=self.licence,
        )


def _vote(review: Review) -> Vote:
    return Vote(review.reviewer, review.role, review.at.isoformat())


def _source(dataset: Dataset) -> Source:
    return Source(dataset.id, dataset.version or 0, dataset.manifest_sha256 or "")
