"""Seal and open a small piece of bytes under a data key, bound to its name (AES-256-GCM, NIST SP 800-38D).

For what is neither a shelf nor a package: rows put aside at intake, answers kept for replay, files that ask to
leave. The name is authenticated and not stored: a box put in another's place does not open.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import VaultDamaged

NONCE_BYTES: Final = 12
MARK: Final = b"ENV1"


def seal(data_key: bytes, name: str, content: bytes) -> bytes:
    """Give the sealed bytes: a mark, a fresh nonce, then ciphertext and tag."""
    nonce = os.urandom(NONCE_BYTES)
    return MARK + nonce + AESGCM(data_key).encrypt(nonce, content, MARK + name.encode())


def unseal(data_key: bytes, name: str, sealed: bytes) -> bytes:
    """Give the content back; raises `VaultDamaged` when a byte was changed, or it was sealed for another name."""
    start = len(MARK) + NONCE_BYTES
    if not sealed.startswith(MARK):
        raise _damaged()
    try:
        return AESGCM(data_key).decrypt(sealed[len(MARK) : start], sealed[start:], MARK + name.encode())
    except (InvalidTag, ValueError):
        raise _damaged() from None


def _damaged() -> VaultDamaged:
    return VaultDamaged(
        "envelope_damaged",
        "A sealed piece was changed, or does not belong here.",
        "Restore it from the backup and look at the trail.",
    )
