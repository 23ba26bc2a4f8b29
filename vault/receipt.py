"""The proof that an act was recorded before it is done: no receipt, no act."""

from collections.abc import Collection
from typing import Protocol

from vault.errors import VaultRefused


class Receipt(Protocol):
    """What the trail hands back once an intent is durable. Structural: the vault knows no recorder."""

    @property
    def index(self) -> int: ...
    @property
    def event_id(self) -> str: ...
    @property
    def leaf_sha256(self) -> bytes: ...
    @property
    def act(self) -> str: ...
    @property
    def objects(self) -> frozenset[str]: ...


def check_receipt(receipt: Receipt, acts: Collection[str], object_name: str) -> None:
    """Check that the recorded act is one of `acts` and names this object ("kind:id"); raise otherwise."""
    if receipt.act not in acts:
        raise VaultRefused(
            "receipt_mismatch",
            f"The recorded act {receipt.act} does not allow this; it needs {' or '.join(sorted(acts))}.",
            "Record the act you are about to do, then do it.",
            act=receipt.act,
        )
    if object_name not in receipt.objects:
        raise VaultRefused(
            "receipt_mismatch",
            f"The recorded act {receipt.act} does not name {object_name}.",
            "Record the act with the object it touches.",
            act=receipt.act,
            object=object_name,
        )
