"""Stands where the process of a shelf's compaction would, and says what the job's dataset asks for."""

import json
import sys

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

for line in SAYS[json.load(sys.stdin)["dataset"]]:
    print(json.dumps(line), flush=True)  # noqa: T201 - how it speaks
