"""The release journey on a real house and a real log."""

import io
import zipfile

import pytest
from tests.unit.journeys.conftest import World

from enclave.errors import Refused
from enclave.journeys import release
from enclave.journeys.release import Offered
from enclave.people import Role
from enclave.release.states import Status
from enclave.release.words import Choice, ReleaseRequest

TABLE = Offered("counts.csv", b"region,n\nnorth,120\nsouth,240\n")
NOTE = Offered("reading.md", b"# Reading\n\nThe south has twice as many stays as the north.\n")
BOTH = (TABLE, NOTE)


@pytest.fixture
def author(world: World):
    return world.visitor("researcher-a", Role.RESEARCHER)


@pytest.fixture
def steward_a(world: World):
    return world.visitor("steward-a", Role.STEWARD)


@pytest.fixture
def steward_b(world: World):
    return world.visitor("steward-b", Role.SENIOR_STEWARD, Role.STEWARD)


def in_review(world: World, author, files=BOTH) -> ReleaseRequest:
    draft = release.create(world.desk, author, "asthma", "Stays by region", "A paper", files)
    release.submit(world.desk, author, draft.id)
    return release.check(world.desk, draft.id)


def vote_all(world: World, visitor, request: ReleaseRequest, choice=Choice.APPROVE, note="seen"):
    for file in request.files:
        last = release.vote(world.desk, visitor, request.id, file.sha256, choice, note)
    return last


def test_a_table_leaves_after_two_stewards_have_seen_it(world, author, steward_a, steward_b):
    request = in_review(world, author)
    assert request.status is Status.IN_REVIEW, world.desk.requests.check(request.id, 1)
    assert vote_all(world, steward_a, request).status is Status.PARTIALLY_REVIEWED
    assert vote_all(world, steward_b, request).status is Status.APPROVED
    released = release.package(world.desk, steward_a, request.id)
    assert released.status is Status.RELEASED
    package = release.download(world.desk, author, request.id)
    inside = zipfile.ZipFile(io.BytesIO(package)).namelist()
    assert f"{request.id}/data/outputs/counts.csv" in inside
    assert "release.tlog-proof" in inside
    report = world.recorder.verified()
    assert report.integrity
    assert report.completeness, report
