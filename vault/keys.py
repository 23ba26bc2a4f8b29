"""What a key service must do, which purposes it keeps apart, and which process may ask it for what."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from vault.errors import VaultRefused, VaultUsage
from vault.receipt import Receipt

PURPOSES: Final = ("research", "identity", "text", "answers", "quarantine", "objections")
MAC_NAMES: Final = ("unit", "order", "pseudonym", "release")
SIGN_NAMES: Final = ("manifest", "package")
CONTEXT: Final = re.compile(r"[a-z]+:[a-z0-9-]{1,64}(\|[a-z0-9.-]{1,64}){0,4}")

WRAP_ACTS: Final = frozenset({"key.create", "data.import", "data.query", "data.objection", "data.compact"})
UNWRAP_ACTS: Final = frozenset({"key.unwrap", "data.query", "data.objection", "data.compact"})
ROTATE_ACTS: Final = frozenset({"key.rotate"})
SHRED_ACTS: Final = frozenset({"data.shred"})


@dataclass(frozen=True)
class Grant:
    """What one process may ask of the key service; whatever is not named is refused."""

    wrap: frozenset[str] = frozenset()
    unwrap: frozenset[str] = frozenset()
    mac: frozenset[str] = frozenset()
    sign: frozenset[str] = frozenset()
    operate: bool = False


class Rights(Enum):
    """The processes that hold a keyring open, and no more than each needs.

    The operator signs manifests because a rotation writes a manifest anew; whoever reads one compares its
    hash with the trail, so his signature alone makes no version current.
    A compaction rewrites each shelf in a process of its own, which opens that shelf and no other: none of them ever
    holds identities and care together.
    """

    INTAKE = Grant(
        wrap=frozenset({"research", "identity", "text", "quarantine"}),
        mac=frozenset({"unit", "order"}),
        sign=frozenset({"manifest"}),
    )
    ENGINE = Grant(
        wrap=frozenset({"answers", "objections"}),
        unwrap=frozenset({"research", "text", "answers", "objections"}),
        mac=frozenset({"unit", "order", "pseudonym"}),
    )
    REIDENT = Grant(unwrap=frozenset({"identity"}))
    PUBLISHER = Grant(mac=frozenset({"release"}), sign=frozenset({"package"}))
    OPERATOR = Grant(sign=frozenset({"manifest"}), operate=True)
    COMPACT_IDENTITY = Grant(wrap=frozenset({"identity"}), unwrap=frozenset({"identity", "objections"}))
    COMPACT_RESEARCH = Grant(wrap=frozenset({"research"}), unwrap=frozenset({"research", "objections"}))
    COMPACT_TEXT = Grant(wrap=frozenset({"text"}), unwrap=frozenset({"text", "objections"}))


class KeyService(Protocol):
    """The keys of the house.

    A `context` is what a wrapped key is bound to: an object name ("dataset:sejours"), then optionally "|" and
    whatever tells its keys apart ("dataset:sejours|2|research"). The receipt must name that object.
    """

    def new_data_key(self, purpose: str, context: str, receipt: Receipt) -> tuple[bytes, str]:
        """Give a fresh 32-byte data key and its wrapped text."""
        ...

    def unwrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> bytes:
        """Give the data key back; only for the context it was wrapped for."""
        ...

    def rewrap(self, purpose: str, wrapped: str, context: str, receipt: Receipt) -> str:
        """Wrap the same data key under the newest version of the purpose key, without showing it."""
        ...

    def rotate(self, purpose: str, receipt: Receipt) -> None:
        """Start a new version of a purpose's keys ("key:<purpose>" in the receipt); older ones still open."""
        ...

    def retire(self, purpose: str, receipt: Receipt) -> None:
        """Destroy every version of a purpose's keys but the newest: what was not rewrapped is lost for ever."""
        ...

    def shred(self, purpose: str, context: str, receipt: Receipt) -> None:
        """Destroy what opens this context; from then on unwrapping it is refused for ever."""
        ...

    def mac(self, name: str, data: bytes) -> bytes:
        """Give the 32-byte HMAC-SHA256 of data under a named key of `MAC_NAMES`."""
        ...

    def sign(self, name: str, data: bytes) -> bytes:
        """Give the 64-byte Ed25519 signature of data: "manifest" or "package"."""
        ...

    def public_key(self, name: str) -> bytes:
        """Give the 32 bytes that check what `sign` of that name made."""
        ...


def object_of(context: str) -> str:
    """Give the object name a context begins with: what the receipt must name."""
    return context.partition("|")[0]


def check_right(rights: Rights, granted: bool, verb: str, name: str) -> None:  # noqa: FBT001 - one sentence at each call
    """Refuse what the process of these rights may not do with a key."""
    if not granted:
        holder = rights.name.lower()
        raise VaultRefused(
            "key_right_missing",
            f"The {holder} process may not {verb} with the key {name!r}.",
            "Ask the process that has this right.",
            process=holder,
            verb=verb,
            key=name,
        )


def check_context(context: str) -> None:
    """Refuse a context that names no object."""
    if CONTEXT.fullmatch(context) is None:
        raise VaultUsage(
            "key_context_malformed",
            "A key context reads kind:id, then up to four parts after a bar.",
            "Give a context such as dataset:sejours|1|research.",
        )


def check_name(name: str, names: tuple[str, ...]) -> None:
    """Refuse a key name there is none of."""
    if name not in names:
        raise VaultUsage("key_name_unknown", f"There is no key {name!r}.", f"Use one of {', '.join(names)}.")
