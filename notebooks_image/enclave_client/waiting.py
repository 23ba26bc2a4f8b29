"""Waiting for a long answer: what is read so far is shown, and stopping the cell cancels the question."""

import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .door import Json, call
from .errors import EnclaveError
from .language import say

LOOK_SECONDS = 1.0
"""Answers that come sooner show no progress."""


def ask(question: Json) -> Json:
    """Ask and wait. Interrupting the cell cancels the question: what was reserved for it stays spent.

    Raises `EnclaveError`: `question_cancelled` after an interruption, else whatever the enclave refused.
    """
    answer = _Answer(question)
    show = _Shown()
    try:
        while not answer.came(LOOK_SECONDS):
            show.now(_progress())
    except KeyboardInterrupt:
        call("POST", "cancel", {"question": question})
        answer.came(None)
    finally:
        show.now("")
    return answer.told()


def _progress() -> str:
    """Say how far one's own questions are, from public counts of parts."""
    try:
        running: list[Json] = call("GET", "running")["running"]
    except EnclaveError:
        return ""
    return " · ".join(_line(one) for one in running)


def _line(run: Json) -> str:
    if run["state"] == "waiting":
        return say(f"{run['dataset']} : en attente", f"{run['dataset']}: waiting")
    done, of = run["done"], run["of"]
    return say(
        f"{run['dataset']} : partie {done} sur {of} lue", f"{run['dataset']}: part {done} of {of} read"
    )


class _Answer:
    """The question in a thread of its own, so that this one can look around and be interrupted."""

    def __init__(self, question: Json) -> None:
        self._told: Json | EnclaveError | None = None
        self._thread = threading.Thread(target=self._ask, args=(question,), daemon=True)
        self._thread.start()

    def _ask(self, question: Json) -> None:
        try:
            self._told = call("POST", "ask", {"question": question})
        except EnclaveError as error:
            self._told = error

    def came(self, seconds: float | None) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def told(self) -> Json:
        if isinstance(self._told, EnclaveError):
            raise self._told
        return self._told or {}


class _Shown:
    """One line that is written over: in a notebook an output of its own, in a terminal the same line."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._put: Callable[[str], None] | None = None

    def now(self, line: str) -> None:
        if self._put is None and line:
            self._put = self._in_notebook if _in_notebook() else _in_terminal
        if self._put is not None:
            self._put(line)

    def _in_notebook(self, line: str) -> None:
        display: Any = import_module("IPython.display")
        shown = {"text/plain": line}
        if self._handle is None:
            self._handle = display.display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    return shell is not None and shell.get_ipython() is not None


def _in_terminal(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()
