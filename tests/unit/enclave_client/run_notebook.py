"""Run a notebook's cells in a real kernel, one after the other; prints each cell's end as a JSON line.

Started with the notebook environment's own interpreter: run_notebook.py NOTEBOOK
"""

import json
import sys
from pathlib import Path

from jupyter_client.manager import start_new_kernel

CELL_SECONDS = 120


def main() -> int:
    notebook = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                _run(client, cell)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return 0


def _run(client, cell) -> None:
    shown = []

    def seen(message) -> None:
        content = message["content"]
        if message["msg_type"] in {"display_data", "execute_result"}:
            shown.append(content["data"])
        elif message["msg_type"] == "stream":
            shown.append({"text/plain": content["text"]})

    reply = client.execute_interactive("".join(cell["source"]), timeout=CELL_SECONDS, output_hook=seen)
    content = reply["content"]
    error = "\n".join(content.get("traceback", ())) if content["status"] == "error" else ""
    told = {
        "cell": cell["id"],
        "error": error,
        "text": [data.get("text/plain", "") for data in shown],
        "drawn": sum("image/png" in data for data in shown),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    sys.exit(main())
