"""What a key service must do, which purposes it keeps apart, and which process may ask it for what."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from vault.receipt import Receipt

PURPOSES: Final = ("research", "identity", "text", "answers", "quarantine")
MAC_NAMES: Final = ("unit", "order", "pseudonym", "release")
SIGN_NAMES: Final = ("manifest", "package")

WRAP_ACTS: Final = frozenset({"key.create", "data.import", "data.query"})
UNWRAP_ACTS: Final = frozenset({"key.unwrap", "data.query"})
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
    """

    INTAKE = Grant(
        wrap=frozenset({"research", "identity", "text", "quarantine"}),
        mac=frozenset({"unit", "order"}),
        sign=frozenset({"manifest"}),
    )
    ENGINE = Grant(
        wrap=frozenset({"answers"}),
        unwrap=frozenset({"research", "text", "answers"}),
        mac=frozenset({"unit", "order", "pseudonym"}),
    )
    REIDENT = Grant(unwrap=frozenset({"identity"}))
    PUBLISHER = Grant(mac=frozenset({"release"}), sign=frozenset({"package"}))
    OPERATOR = Grant(sign=frozenset({"manifest"}), operate=True)


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
