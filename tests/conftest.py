"""Shared by journeys and browser tests: one real house for the whole run."""

from collections.abc import Iterator

import pytest

from tests.living import Lived, living


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Open a house once for everybody."""
    with living(tmp_path_factory.mktemp("state") / "house") as house:
        yield house
