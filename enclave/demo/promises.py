"""Keeps count of what the demonstration promised and what was seen; one line each, with the time it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console


class PromiseBrokenError(Exception):
    """Something the demonstration says did not hold."""


@dataclass
class Promises:
    """The promises seen so far."""

    console: Console
    kept: list[dict[str, object]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def promise(self, words: str) -> Iterator["Seen"]:
        """See one promise hold; what the body tells with `that` is shown behind it."""
        start, seen = time.monotonic(), Seen()
        try:
            yield seen
        except BaseException:
            self.console.print(f"[red]✗[/] {words}")
            raise
        seconds = round(time.monotonic() - start, 2)
        self.kept.append({"promise": words, "seen": seen.words, "seconds": seconds})
        self.console.print(
            f"[green]✓[/] {words}" + (f": {seen.words}" if seen.words else "") + f" [dim]{seconds:.1f} s[/]"
        )

    @property
    def seconds(self) -> float:
        """How long it took so far."""
        return round(time.monotonic() - self.began, 1)


@dataclass
class Seen:
    """What was seen while a promise was looked at."""

    words: str = ""

    def that(self, held: bool, words: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Look at one thing; raises `PromiseBrokenError` with the words when it does not hold."""
        if not held:
            raise PromiseBrokenError(words)

    def tell(self, words: str) -> None:
        """Say what was seen."""
        self.words = words
