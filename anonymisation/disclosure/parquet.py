"""Hand a Parquet file to a reader process and take back its cells, or nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from anonymisation.disclosure.content import NOWHERE, Content, Table, at, take
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.disclosure.policy import DisclosurePolicy

MAGIC: Final = b"PAR1"
LARGEST_ANSWER: Final = 64_000_000
_ROOT: Final = Path(__file__).resolve().parents[2]


def hits(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    """Find what a Parquet file carries beside its cells; the cells go into `content`."""
    found = _read_apart(data, policy)
    if found is None:
        yield "parquet_unreadable", NOWHERE
        return
    for key, code in (
        ("metadata", "parquet_metadata"),
        ("gap", "parquet_gap"),
        ("unused_values", "parquet_unused_values"),
        ("nested", "parquet_nested"),
    ):
        if found[key]:
            yield code, NOWHERE
    if found["rows"] is None and found["lines"] <= policy.most_rows and not found["nested"]:
        yield "parquet_unreadable", NOWHERE
    take(Table(tuple(found["header"]), found["rows"] or [], found["lines"]), content)
    content.add(found["text"], lambda _: at("métadonnées", "metadata"))


def _read_apart(data: bytes, policy: DisclosurePolicy) -> dict[str, Any] | None:
    limits = (policy.reader_bytes, policy.reader_seconds, policy.most_rows, policy.unpacked_bytes)
    command = [sys.executable, "-P", "-B", "-m", "anonymisation.disclosure.parquet_child", *map(str, limits)]
    # Nothing of our environment but what finds this package: the reader of hostile bytes holds no secret.
    environment = {
        "PYTHONPATH": str(_ROOT),
        "LC_ALL": "C.UTF-8",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "ARROW_IO_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    try:
        done = subprocess.run(
            command,
            input=data,
            capture_output=True,
            timeout=policy.reader_seconds * 2,
            env=environment,
            check=True,
        )
        return dict(json.loads(done.stdout)) if len(done.stdout) <= LARGEST_ANSWER else None
    except (subprocess.SubprocessError, ValueError):
        return None
