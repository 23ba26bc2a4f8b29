"""Seals the log's signing key under another passphrase; the key, and so the log's name, stay the same."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from audit.errors import BadInput


def change_passphrase(path: Path, old: bytes, new: bytes) -> None:
    """Write the key file anew under `new`, whole or not at all; one that opens with it already is left.

    Raises BadInput when there is no key, or neither passphrase opens it. Copies made before open with the old one.
    """
    if not new:
        raise BadInput("no_passphrase", "the passphrase is empty", "write a long random one into its file")
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        raise BadInput("no_key", f"there is no key at {path}") from None
    if _opens(sealed, new):
        return
    try:
        key = serialization.load_pem_private_key(sealed, old)
    except (ValueError, TypeError):
        raise BadInput(
            "key_not_opened", f"the key at {path} does not open", "check the passphrase file"
        ) from None
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(new),
    )
    _replace(path, pem)


def _opens(sealed: bytes, passphrase: bytes) -> bool:
    try:
        serialization.load_pem_private_key(sealed, passphrase)
    except (ValueError, TypeError):
        return False
    return True


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
