"""Stands where the process of a shelf's compaction would, and says what the job's dataset asks for."""

import json
import os
import sys
from pathlib import Path

SAYS = {
    "damaged": [
        {
            "error": {"code": "shelf_part_damaged", "message": "It is damaged.", "to_do": "Restore it."},
            "params": {"part": "research/part-00000"},
            "kind": "damaged",
        }
    ],
    "silent": [{"done": 1, "of": 2}],
    "well": [
        {"done": 2, "of": 2},
        {"result": {"rewritten": {"shelf": "research", "parts": [], "wrapped_key": "k"}, "entries": 3}},
    ],
}


def reads() -> list[dict[str, object]]:
    """Give what the file named in the environment holds, as the key."""
    read = Path(os.environ["ENCLAVE_KEYS__PASSPHRASE_FILE"]).read_text(encoding="utf-8")
    return [{"result": {"rewritten": {"shelf": "research", "parts": [], "wrapped_key": read}, "entries": 3}}]


asked = json.load(sys.stdin)["dataset"]
for line in reads() if asked == "reads" else SAYS[asked]:
    print(json.dumps(line), flush=True)  # noqa: T201 - how it speaks
