"""JupyterLab's own files, served from the notebook environment: not from a sandbox, hence not metered."""

from collections.abc import Sequence
from pathlib import Path

from enclave.errors import NotFound

A_YEAR = "public, max-age=31536000, immutable"
ASK_EACH_TIME = "no-cache"


class Assets:
    """Finds the file behind an asset's address."""

    def __init__(self, venv: Path) -> None:
        share = venv / "share" / "jupyter"
        packages = next(iter(sorted(venv.glob("lib/python3*/site-packages"))), venv)
        # First match wins, so the longer prefix comes first.
        self._roots: Sequence[tuple[tuple[str, ...], Path]] = (
            (("static", "lab"), share / "lab" / "static"),
            (("static",), packages / "jupyter_server" / "static"),
            (("lab", "extensions"), share / "labextensions"),
            (("lab", "api", "themes"), share / "lab" / "themes"),
        )

    def find(self, names: Sequence[str]) -> Path:
        """Give the file for names below `/user/<person>/<project>/`. Raises `NotFound`."""
        for prefix, root in self._roots:
            if tuple(names[: len(prefix)]) == prefix:
                return _file_below(root, names[len(prefix) :])
        raise _no_such()

    @staticmethod
    def cache_for(query: str) -> str:
        """Let a browser keep what is named by its version."""
        return A_YEAR if query.startswith("v=") else ASK_EACH_TIME


def _no_such() -> NotFound:
    return NotFound("no_such_asset", "There is no such file.")


def _file_below(root: Path, names: Sequence[str]) -> Path:
    top = root.resolve()
    file = top.joinpath(*names).resolve()
    if not file.is_relative_to(top) or not file.is_file():
        raise _no_such()
    return file
