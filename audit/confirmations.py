"""Whether what witnesses and time stamps confirmed is still what the log holds.

Everything here is judged by keys and certificates that the verifier was handed from outside the enclave.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate

from audit.checkpoint import Checkpoint, Verifier, open_checkpoint
from audit.confirm import FOLDER, STAMP
from audit.cosignature import cosigned_at
from audit.errors import BadInput, ProofWrong
from audit.report import Confirmed, Findings
from audit.timestamp import stamped_at

PATTERN: Final = "*.checkpoint"

RootsAt = Callable[[Iterable[int]], dict[int, bytes]]
"""sizes -> the root the log had at each."""


@dataclass(frozen=True)
class Trusted:
    """What a verifier holds: keys of witnesses, how many must agree (None: all), roots of time stamps.

    `second` is the log's ML-DSA-44 key: with it the checkpoint must be signed a second time.
    """

    witnesses: tuple[Verifier, ...] = ()
    quorum: int | None = None
    stamp_roots: tuple[Certificate, ...] = ()
    second: Verifier | None = None

    def __post_init__(self) -> None:
        if self.quorum is not None and not 0 < self.quorum <= len(self.witnesses):
            raise BadInput("bad_quorum", "the quorum is a number from 1 to that of the witness keys given")

    @property
    def needed(self) -> int:
        """Give how many witnesses must have cosigned one checkpoint."""
        return len(self.witnesses) if self.quorum is None else self.quorum


@dataclass(frozen=True)
class Kept:
    """One file of the folder of confirmed checkpoints, with its stamp."""

    checkpoint: Checkpoint
    note: str
    stamp: bytes | None


class Confirmations:
    """The confirmed checkpoints of a log, as files beside its tiles."""

    def __init__(self, directory: Path, checkpoint: Checkpoint, verifier: Verifier, found: Findings) -> None:
        self._checkpoint = checkpoint
        self._found = found
        self._kept: list[Kept] = []
        try:
            self._kept = _read(directory / FOLDER, verifier)
        except (OSError, UnicodeDecodeError, ProofWrong):
            found.fail("confirmed", "a confirmed checkpoint cannot be read or is not signed by the log")

    def judge(self, trusted: Trusted, roots_at: RootsAt) -> tuple[Confirmed | None, Confirmed | None]:
        """Decide the steps `confirmed`, `witnesses` and `stamps`; gives what the latter two found."""
        self._continued(roots_at)
        if self._found.failed("confirmed"):
            return None, None
        return self._witnesses(trusted), self._stamps(trusted)

    def _continued(self, roots_at: RootsAt) -> None:
        for each in self._kept:
            if each.checkpoint.size > self._checkpoint.size:
                words = (
                    f"a confirmed checkpoint speaks of {each.checkpoint.size} entries, this log has "
                    f"{self._checkpoint.size}: it was rolled back"
                )
                self._found.fail("confirmed", words, self._checkpoint.size)
                return
        roots = roots_at(each.checkpoint.size for each in self._kept)
        for each in self._kept:
            if roots[each.checkpoint.size] != each.checkpoint.root:
                words = f"the first {each.checkpoint.size} entries are not those that were confirmed: a fork"
                self._found.fail("confirmed", words)
                return
        words = f"continues all {len(self._kept)} checkpoints that were sent out to be confirmed"
        self._found.say("confirmed", "ok" if self._kept else "not done", words if self._kept else _NONE)

    def _witnesses(self, trusted: Trusted) -> Confirmed | None:
        if not trusted.witnesses:
            words = "no witness key was given: a log rewritten with its own key would not show (give --witness-key)"
            self._found.say("witnesses", "not done", words)
            return None
        moments: list[tuple[Kept, dict[str, int]]] = []
        try:
            for each in self._kept:
                times = {key.name: cosigned_at(each.note, key) for key in trusted.witnesses}
                moments.append((each, {name: at for name, at in times.items() if at is not None}))
        except ProofWrong:
            self._found.fail("witnesses", "a cosignature under the name of a witness does not hold")
            return None
        agreed = [(each, times) for each, times in moments if len(times) >= trusted.needed]
        if not agreed:
            words = f"no checkpoint here is cosigned by {trusted.needed} of the {len(trusted.witnesses)} witnesses"
            self._found.fail("witnesses", words)
            return None
        first, (last, by) = sorted(agreed[0][1].values())[trusted.needed - 1], agreed[-1]
        return self._say_confirmed(
            "witnesses", Confirmed(tuple(by), last.checkpoint.size, _posix(first), _posix(max(by.values())))
        )

    def _stamps(self, trusted: Trusted) -> Confirmed | None:
        stamped = [each for each in self._kept if each.stamp is not None]
        if not trusted.stamp_roots:
            words = f"{len(stamped)} time stamps are here; no certificate to judge them by was given (--stamp-root)"
            self._found.say("stamps", "not done", words)
            return None
        if not stamped:
            self._found.fail("stamps", "no checkpoint here has a time stamp")
            return None
        try:
            times = [_stamp_time(each, trusted.stamp_roots) for each in stamped]
        except ProofWrong as wrong:
            self._found.fail("stamps", wrong.message)
            return None
        by = tuple(sorted({str(root.subject.rfc4514_string()) for root in trusted.stamp_roots}))
        return self._say_confirmed(
            "stamps", Confirmed(by, stamped[-1].checkpoint.size, min(times), max(times))
        )

    def _say_confirmed(self, name: str, what: Confirmed) -> Confirmed:
        words = (
            f"{what.size} of {self._checkpoint.size} entries confirmed by {', '.join(what.by)}, "
            f"last at {what.until}; nothing removed since {what.since}"
        )
        self._found.say("witnesses" if name == "witnesses" else "stamps", "ok", words)
        return what


_NONE: Final = "no checkpoint was ever sent out to be confirmed"


def _read(folder: Path, verifier: Verifier) -> list[Kept]:
    kept = []
    for path in sorted(folder.glob(PATTERN)):
        note = path.read_text(encoding="utf-8")
        stamp = path.with_name(path.name + STAMP)
        kept.append(
            Kept(open_checkpoint(note, verifier), note, stamp.read_bytes() if stamp.exists() else None)
        )
    return sorted(kept, key=lambda each: each.checkpoint.size)


def _stamp_time(kept: Kept, roots: Sequence[Certificate]) -> str:
    assert kept.stamp is not None  # noqa: S101  (only stamped ones are asked about)
    return _text(stamped_at(kept.stamp, kept.note.encode(), roots))


def _posix(seconds: int) -> str:
    try:
        return _text(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, ValueError, OSError):
        return f"POSIX second {seconds}"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
