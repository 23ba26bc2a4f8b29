"""The numbers a release is judged by: frozen, versioned, hashed into every report."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final

CHECKS: Final = ("file_type_and_hidden_content", "identifiers", "small_counts", "row_dump")


@dataclass(frozen=True)
class DisclosurePolicy:
    """What may leave. Change a number only together with `version`; a dataset may ask for a higher threshold."""

    name: str = "enclave-default"
    version: str = "1"
    # Counts 1 to 10 are hidden: the habit for French national health data (SNDS). ACRO uses 10, OpenSAFELY 8.
    threshold: int = 11
    # A table of results is short; OpenSAFELY allows 5,000 lines, which would let a whole small cohort through.
    most_rows: int = 500
    # More than this share of distinct values over more than so many rows: one line a person, by our own rule.
    unique_share: float = 0.9
    unique_over_rows: int = 20
    # OpenSAFELY's limit on one output file: 16 MB; as many files as two reviewers can read in a sitting.
    file_bytes: int = 16_000_000
    files: int = 20
    # Text that people read over: more than 500 rows of 200 columns never need.
    text_bytes: int = 2_000_000
    # Nothing is unpacked beyond this, whatever a header claims.
    unpacked_bytes: int = 64_000_000
    image_pixels: int = 36_000_000
    json_depth: int = 32
    line_characters: int = 20_000
    columns: int = 200
    # A reader of a hostile binary format works apart, for so long and in so much memory.
    reader_seconds: int = 20
    reader_bytes: int = 3_000_000_000

    @property
    def sha256(self) -> str:
        """Hash of every number above, as canonical JSON."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
