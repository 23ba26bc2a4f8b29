"""A terminal for tests: a program started at one of its own, and somebody who types when asked."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

PATIENCE_SECONDS = 90.0


class Terminal:
    """What the program writes is kept in `shown`, as a person would see it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        try:
            self.process = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one short call
            )
        finally:
            os.close(theirs)

    def answer(self, asked: str, typed: str) -> None:
        """Type a line once the program has asked for it."""
        seen = len(self.shown)
        while asked not in self.shown[seen:]:
            assert self._more(), f"never asked {asked!r}: {self.shown}"
        os.write(self._ours, f"{typed}\n".encode(errors="surrogateescape"))

    def end(self) -> int:
        """Wait until the program ends; gives its exit code."""
        while self._more():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def _more(self) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        ready, _, _ = select.select([self._ours], [], [], deadline - time.monotonic())
        read = b""
        with suppress(OSError):  # the program closed its side
            read = os.read(self._ours, 4096) if ready else b""
        self.shown += read.decode(errors="replace")
        return bool(read)


@contextmanager
def at_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    terminal = Terminal(command, environment)
    try:
        yield terminal
    finally:
        terminal.close()
