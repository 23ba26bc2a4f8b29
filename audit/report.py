"""What a verification tells: numbered steps in words, two verdicts, and what somebody outside confirmed."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from audit.completeness import Anomaly

StepVerdict = Literal["ok", "failed", "anomaly", "not done"]
Name = Literal[
    "key", "checkpoint", "entries", "tiles", "root", "events", "database", "remembered", "confirmed",
    "witnesses", "stamps", "intents", "interrupted", "releases", "sessions", "reconciled",
]  # fmt: skip
ORDER: Final[tuple[Name, ...]] = (
    "key", "checkpoint", "entries", "tiles", "root", "events", "database", "remembered", "confirmed",
    "witnesses", "stamps", "intents", "interrupted", "releases", "sessions", "reconciled",
)  # fmt: skip

SHOWN: Final = 20  # anomalies and indices that are told in words; all are counted
KEPT: Final = 500  # anomalies the report holds


@dataclass(frozen=True)
class Confirmed:
    """What somebody outside confirmed: so many entries were there at these times (UTC) and still are."""

    by: tuple[str, ...]
    size: int
    since: str
    until: str


@dataclass(frozen=True)
class Books:
    """How the trail compares with the house's books: those read, those not, records, and what differs."""

    read: tuple[str, ...]
    unread: tuple[str, ...]
    records: int
    explained: int
    differences: int


@dataclass(frozen=True)
class Step:
    """One thing that was checked, and what came of it, in words."""

    number: int
    name: Name
    verdict: StepVerdict
    words: str


@dataclass(frozen=True)
class Report:
    """What verification found. `completeness` is None when broken entries leave nothing to judge."""

    origin: str
    key_id: str
    size: int
    root: str
    integrity: bool
    completeness: bool | None
    first_broken_index: int | None
    intents_without_outcome: int
    interrupted: int
    anomalies: tuple[Anomaly, ...]
    steps: tuple[Step, ...]
    cpu_seconds: float
    witnessed: Confirmed | None = None
    stamped: Confirmed | None = None
    books: Books | None = None

    @property
    def exit_code(self) -> int:
        """0 whole and complete, 1 whole with anomalies, 5 tampered."""
        if not self.integrity:
            return 5
        return 0 if self.completeness else 1

    def as_json(self) -> dict[str, Any]:
        """Give the plain form."""
        return asdict(self)

    def step(self, name: Name) -> Step:
        """Give one step."""
        return self.steps[ORDER.index(name)]


@dataclass
class Findings:
    """The steps as they are decided; the first break of each kind is what is told."""

    steps: dict[Name, tuple[StepVerdict, str]] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)

    def say(self, name: Name, verdict: StepVerdict, words: str) -> None:
        """Decide a step that is not decided yet."""
        self.steps.setdefault(name, (verdict, words))

    def fail(self, name: Name, words: str, index: int | None = None) -> None:
        """Let a step fail, at an index of the log where that is known."""
        if name not in self.steps and index is not None:
            self.broken.append(index)
        self.say(name, "failed", words)

    def failed(self, *names: Name) -> bool:
        """Say whether one of these steps failed, or any step at all."""
        return any(self.steps.get(name, ("ok", ""))[0] == "failed" for name in names or ORDER)

    def numbered(self) -> tuple[Step, ...]:
        """Give every step in order, those not reached included."""
        unreached: tuple[StepVerdict, str] = ("not done", "an earlier step failed")
        return tuple(Step(n, name, *self.steps.get(name, unreached)) for n, name in enumerate(ORDER, 1))
