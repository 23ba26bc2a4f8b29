"""What a store asks to see before it writes: the proof that the intent is already in the trail."""

from collections.abc import Collection
from typing import Protocol

from enclave.errors import Refused


class Receipt(Protocol):
    """The recorder's answer to a recorded event; only `enclave.recorder_client` builds one."""

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


def require(receipt: Receipt, act: str | Collection[str], about: str) -> None:
    """Refuse a receipt recorded for another act, or about another object (`kind:id`).

    Raises `Refused("receipt_mismatch")`.
    """
    acts = (act,) if isinstance(act, str) else act
    if receipt.act not in acts or about not in receipt.objects:
        raise Refused(
            "receipt_mismatch",
            f"The receipt is for {receipt.act}, not for {' or '.join(sorted(acts))} about {about}; "
            "nothing was written.",
            "Record the intent of this very act first.",
            act=receipt.act,
            about=about,
        )
