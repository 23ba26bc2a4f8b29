"""A receipt as a test makes one; in the house only the recorder's client does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReceiptForTests:
    act: str
    objects: frozenset[str]
    index: int = 7
    event_id: str = "0193639a-0000-7000-8000-000000000001"
    leaf_sha256: bytes = bytes(32)


def receipt(act: str, *objects: str) -> ReceiptForTests:
    return ReceiptForTests(act, frozenset(objects))
