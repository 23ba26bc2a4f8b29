"""Answers as the ledger keeps them: sealed under a key of their version, so that shredding the version takes them too."""

from typing import Any

import orjson

from enclave.recording import Recorded
from vault.envelope import seal, unseal
from vault.keys import KeyService
from vault.manifest import answers_context


def answer_name(project: str, dataset: str, version: int, question_sha256: str) -> str:
    """Give the name an answer is sealed under: it opens for no other question."""
    return f"answer|{project}|{dataset}|{version}|{question_sha256}"


def seal_answer(
    keys: KeyService, dataset: str, version: int, name: str, answer: dict[str, Any], receipt: Recorded
) -> bytes:
    """Seal an answer under a fresh key that is wrapped for its version."""
    key, wrapped = keys.new_data_key("answers", answers_context(dataset, version), receipt)
    return wrapped.encode() + b"\n" + seal(key, name, orjson.dumps(answer))


def unseal_answer(
    keys: KeyService, dataset: str, version: int, name: str, kept: bytes, receipt: Recorded
) -> dict[str, Any]:
    """Open an answer again; recorded before, as the receipt shows."""
    wrapped, _, box = kept.partition(b"\n")
    key = keys.unwrap("answers", wrapped.decode(), answers_context(dataset, version), receipt)
    answer: dict[str, Any] = orjson.loads(unseal(key, name, box))
    return answer
