"""What an event is: schema version 1, a closed list of types, and the one way to write it as bytes.

Every text field is an id, a code, a hash or a number: there is no field that could hold a value of a cell,
a name or free text, and digits as long as a French social security number are refused in ids.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

import orjson
import uuid_utils
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.errors import BadInput, TooLarge

SCHEMA_VERSION: Final = 1
MAX_EVENT_BYTES: Final = 16_000  # as submitted; what the sequencer adds stays below the leaf's limit
MAX_LEAF_BYTES: Final = 16_384
STAMP_FIELDS: Final = ("seq", "ts", "log", "sealed")
INTERRUPTED: Final = "interrupted"  # reason of an outcome a restarted process writes for its own open intents

EventType = Literal[
    "auth.login",
    "auth.failure",
    "auth.logout",
    "session.spawn",
    "session.stop",
    "session.bytes",
    "session.limit",
    "data.catalogue",
    "data.import",
    "data.query",
    "data.denied",
    "data.shred",
    "data.objection",
    "data.compact",
    "dp.caps",
    "dp.refusal",
    "key.create",
    "key.unwrap",
    "key.rotate",
    "release.create",
    "release.submit",
    "release.check",
    "release.view",
    "release.review",
    "release.approve",
    "release.return",
    "release.reject",
    "release.withdraw",
    "release.except",
    "release.package",
    "release.download",
    "release.revoke",
    "release.expire",
    "release.fail",
    "admin.person",
    "admin.role",
    "admin.password",
    "admin.partner",
    "admin.project",
    "admin.agreement",
    "admin.grant",
    "admin.dataset",
    "admin.policy",
    "audit.start",
    "audit.stop",
    "audit.search",
    "audit.verify",
    "audit.export",
    "audit.heartbeat",
    "audit.review",
    "audit.detail",
    "audit.erase",
    "audit.prune",
    "system.start",
    "system.stop",
]
TYPES: Final[frozenset[str]] = frozenset(get_args(EventType))

UUID7: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
NIR_DIGITS: Final = re.compile(r"[0-9]{13}")  # a NIR has 13 digits without its key, 15 with it
SHA256_HEX: Final = re.compile(r"(?=.*[a-f])[0-9a-f]{64}")


def _no_long_number(text: str) -> str:
    # One SHA-256 in twenty holds thirteen digits in a row by chance; an id of that form is a hash, not a number.
    if NIR_DIGITS.search(text) and not SHA256_HEX.fullmatch(text):
        raise ValueError("a number as long as a social security number")
    return text


def _real_time(text: str) -> str:
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return text


Uuid7 = Annotated[str, Field(pattern=UUID7)]
Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$"), AfterValidator(_no_long_number)]
ObjectId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"), AfterValidator(_no_long_number)
]
Decimal = Annotated[str, Field(pattern=r"^[0-9]{1,20}(\.[0-9]{1,30})?$")]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}$")]
UtcTime = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"),
    AfterValidator(_real_time),
]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Actor(_Part):
    """Who acts: a person by pseudonymous id, or a service."""

    id: Code
    kind: Literal["person", "service"]
    role: Code | None = None
    session: ObjectId | None = None
    auth: Code | None = None


class Source(_Part):
    """Which process recorded the event; it is the one that closes its own open intents."""

    service: Code
    version: Version | None = None


class Object(_Part):
    """On what: a kind and an id, never a value."""

    kind: Code
    id: ObjectId
    sha256: Sha256Hex | None = None
    bytes: Count | None = None


class PrivacyLoss(_Part):
    """What a question costs; rho in millionths, epsilon and delta as decimal text."""

    mechanism: Code | None = None
    rho_micro: Count | None = None
    epsilon: Decimal | None = None
    delta: Decimal | None = None
    unit: Code | None = None


class ReleaseFile(_Part):
    """One output file, by its hash."""

    sha256: Sha256Hex


class Release(_Part):
    """The release request an event belongs to."""

    request: Uuid7
    files: tuple[ReleaseFile, ...] | None = Field(default=None, strict=False)
    artefact_sha256: Sha256Hex | None = None
    decider: Code | None = None


class Policy(_Part):
    """The policy a decision was taken under."""

    name: Code
    version: Version | Count
    sha256: Sha256Hex | None = None


class Event(_Part):
    """One event as a process submits it; the sequencer adds `seq`, `ts` and `log`."""

    v: Literal[1]
    id: Uuid7
    type: EventType
    phase: Literal["intent", "outcome", "single"]
    corr: Uuid7
    occurred: UtcTime
    actor: Actor
    source: Source
    project: Code | None = None
    purpose: Code | None = None
    object: tuple[Object, ...] | None = Field(default=None, strict=False, max_length=64)
    outcome: Literal["success", "denied", "failed", "minor"] | None = None
    reason: Code | None = None
    dp: PrivacyLoss | None = None
    release: Release | None = None
    policy: Policy | None = None
    counts: dict[Code, Count] | None = Field(default=None, max_length=64)

    @model_validator(mode="after")
    def _outcome_fits_phase(self) -> "Event":
        if self.phase == "intent" and self.outcome is not None:
            raise ValueError("an intent has no outcome yet")
        if self.phase == "outcome" and self.outcome is None:
            raise ValueError("an outcome event says its outcome")
        return self

    def as_mapping(self) -> dict[str, Any]:
        """Give the plain form; what is absent is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    def objects(self) -> list[str]:
        """Give `kind:id` of each object, once each, in order."""
        return list(dict.fromkeys(f"{each.kind}:{each.id}" for each in self.object or ()))


def canonical(mapping: dict[str, Any]) -> bytes:
    """Write a mapping as bytes: UTF-8 JSON, sorted keys, no white space (RFC 8785 for this schema)."""
    return orjson.dumps(mapping, option=orjson.OPT_SORT_KEYS)


def parse(raw: bytes) -> Event:
    """Read an event from its JSON bytes.

    Raises TooLarge above MAX_EVENT_BYTES and BadInput naming the fields that are wrong, never their values.
    """
    if len(raw) > MAX_EVENT_BYTES:
        raise TooLarge(
            "event_too_large",
            f"the event has more than {MAX_EVENT_BYTES} bytes; nothing was recorded",
            "record counts and hashes, not contents",
        )
    try:
        return Event.model_validate(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise BadInput("event_not_json", "the event is not JSON; nothing was recorded") from None
    except ValidationError as wrong:
        raise BadInput(
            "event_not_valid",
            f"the event does not follow schema version {SCHEMA_VERSION}: {_places(wrong)}",
            "correct the named fields; `audit.event.json_schema()` gives the schema",
        ) from None


def _places(wrong: ValidationError) -> str:
    """Name the wrong fields without what they hold: keys the schema does not know could be values too."""
    known = "/".join
    told = {
        (known(_safe(part) for part in each["loc"]) or "event") + ": " + each["type"]
        for each in wrong.errors(include_url=False, include_context=False, include_input=False)
    }
    return ", ".join(sorted(told)[:8])


def _safe(part: str | int) -> str:
    return str(part) if isinstance(part, int) or part in _FIELD_NAMES else "(unknown)"


_FIELD_NAMES: Final[frozenset[str]] = frozenset(
    name
    for model in (Event, Actor, Source, Object, PrivacyLoss, ReleaseFile, Release, Policy)
    for name in model.model_fields
)


def stamp(event: Event, *, seq: int, ts: str, log: str, sealed: str | None = None) -> bytes:
    """Give the leaf's bytes: the event with its place, the sequencer's clock and the log's origin.

    `sealed` is the commitment to a detail that is kept apart, 64 hexadecimal digits (`audit.details`).
    """
    apart = {} if sealed is None else {"sealed": {"sha256": sealed}}
    return canonical({**event.as_mapping(), "seq": seq, "ts": ts, "log": log, **apart})


def as_submitted(leaf: bytes) -> bytes:
    """Give back the canonical bytes an event was submitted with."""
    held = orjson.loads(leaf)
    return canonical({key: value for key, value in held.items() if key not in STAMP_FIELDS})


def utc_now() -> str:
    """Give the time in UTC with microseconds, as the schema writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_id() -> str:
    """Give a fresh UUIDv7."""
    return str(uuid_utils.uuid7())


def json_schema() -> dict[str, Any]:
    """Give the JSON schema of an event as submitted, for the documentation."""
    return Event.model_json_schema()
