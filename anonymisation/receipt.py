"""What this tool needs to know of a durable audit receipt before it writes anything."""

from typing import Protocol

from anonymisation.errors import ReceiptMismatch


class Receipt(Protocol):
    """Proof that the intent of an act is durably in the trail."""

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


def require(receipt: Receipt, act: str, *objects: str) -> None:
    """Raise `receipt_mismatch` unless the receipt is for this act and names each of these `kind:id` objects."""
    if receipt.act != act:
        raise ReceiptMismatch(f"The receipt is for another act than {act}.")
    missing = sorted(set(objects) - receipt.objects)
    if missing:
        kinds = ", ".join(name.split(":", 1)[0] for name in missing)
        raise ReceiptMismatch(f"The receipt of {act} does not name the object acted on ({kinds}).")
