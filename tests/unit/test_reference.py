"""What is generated from code is checked in, and is what the code gives now (`just docs` renews it)."""

from pathlib import Path

import pytest

from enclave.reference import pages

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("path", list(pages()))
def test_a_generated_page_is_what_the_code_gives(path: str) -> None:
    assert (DOCS / path).read_text() == pages()[path]
