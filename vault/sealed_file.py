"""One small file sealed under a passphrase, shared by several processes and always rewritten whole.

Format v1: Argon2id (RFC 9106 §4, second recommended option) gives a root key; HKDF-SHA256 (RFC 5869) splits it
into a sealing key (AES-256-GCM, fresh 96-bit nonce each time) and a check value kept in clear, which tells a
wrong passphrase from a damaged file. The parameters belong to the format and are not read from the file, so a
tampered file cannot weaken them.
"""

import errno
import fcntl
import hmac
import os
import stat
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from vault.errors import VaultDamaged, VaultDown, VaultRefused

FORMAT: Final = "enclave-sealed-file-v1"
MEMORY_KIB: Final = 64 * 1024
PASSES: Final = 3
LANES: Final = 4
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
FIELDS: Final = frozenset({"format", "salt", "check", "nonce", "sealed"})
MAX_BYTES: Final = 64 * 1024 * 1024
OTHERS_BITS: Final = 0o077
# OpenSSL's threads of two derivations of several lanes wait for each other for ever: one at a time in a process.
_ONE_DERIVATION: Final = threading.Lock()


@dataclass(frozen=True)
class _Locks:
    """What the passphrase opens; never shown."""

    salt: bytes
    seal: AESGCM
    check: bytes


class SealedFile:
    """The opened file: reads follow what other processes wrote, changes happen one at a time."""

    def __init__(self, path: Path, locks: _Locks) -> None:
        self._path = path
        self._locks = locks
        self._mutex = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._content = b""

    def read(self) -> bytes:
        """Give the content as it is on disk now; unsealed again only when the file has changed."""
        with self._mutex:
            mark = _mark(self._path)
            if mark != self._seen:
                self._content = self._opened(_parse(self._path))
                self._seen = mark
            return self._content

    def _opened(self, fields: dict[str, bytes]) -> bytes:
        if fields["salt"] != self._locks.salt:
            raise VaultRefused(
                "keyring_passphrase_changed",
                f"{self._path.name} was sealed under another passphrase since this process opened it.",
                "Put the new passphrase in place and start the enclave again.",
            )
        return _unseal(fields, self._locks)

    def change(self, edit: Callable[[bytes], bytes]) -> None:
        """Replace the content by `edit` of the newest one, alone among all processes; durable on return."""
        with _alone(self._path):
            before = self.read()
            after = edit(before)
            if after != before:
                _write_whole(self._path, _seal(after, self._locks))


def create_sealed_file(path: Path, passphrase: bytes, content: bytes) -> None:
    """Seal content into a new file, mode 0600; an existing file is never touched."""
    with _alone(path):
        if path.exists():
            raise VaultRefused(
                "keyring_exists",
                f"{path.name} exists already and was left as it is.",
                "Open it with its passphrase, or move it away first.",
            )
        _write_whole(path, _seal(content, _derive(passphrase, os.urandom(SALT_BYTES))))


def open_sealed_file(path: Path, passphrase: bytes) -> SealedFile:
    """Open a sealed file; raises when it is missing, readable by others, damaged, or the passphrase is wrong."""
    _check_private(path)
    opened = SealedFile(path, _unlocked(path, passphrase))
    opened.read()
    return opened


def change_passphrase(path: Path, old: bytes, new: bytes) -> None:
    """Seal the same content under another passphrase and a fresh salt; durable on return.

    Copies made before still open with the old passphrase.
    """
    _check_private(path)
    with _alone(path):
        content = _unseal(_parse(path), _unlocked(path, old))
        _write_whole(path, _seal(content, _derive(new, os.urandom(SALT_BYTES))))


def _unlocked(path: Path, passphrase: bytes) -> _Locks:
    fields = _parse(path)
    locks = _derive(passphrase, fields["salt"])
    if not hmac.compare_digest(locks.check, fields["check"]):
        raise VaultRefused(
            "keyring_passphrase_wrong",
            f"The passphrase does not open {path.name}.",
            "Give the one it was last sealed under.",
        )
    return locks


def _derive(passphrase: bytes, salt: bytes) -> _Locks:
    slow = Argon2id(salt=salt, length=KEY_BYTES, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    with _ONE_DERIVATION:
        root = slow.derive(passphrase)
    return _Locks(salt, AESGCM(_expand(root, "seal")), _expand(root, "check"))


def _expand(root: bytes, label: str) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, f"{FORMAT}|{label}".encode()).derive(root)


def _seal(content: bytes, locks: _Locks) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    sealed = locks.seal.encrypt(nonce, content, FORMAT.encode())
    fields = {"salt": locks.salt, "check": locks.check, "nonce": nonce, "sealed": sealed}
    texts = {name: b64encode(value).decode() for name, value in fields.items()}
    return orjson.dumps({"format": FORMAT, **texts}, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _unseal(fields: dict[str, bytes], locks: _Locks) -> bytes:
    try:
        return locks.seal.decrypt(fields["nonce"], fields["sealed"], FORMAT.encode())
    except InvalidTag:
        raise _damaged("its seal is broken") from None


def _parse(path: Path) -> dict[str, bytes]:
    try:
        fields = orjson.loads(read_regular(path, MAX_BYTES))
    except OSError as failure:
        raise _unreadable(path, failure) from None
    except orjson.JSONDecodeError:
        raise _damaged("it is not JSON") from None
    if not isinstance(fields, dict) or fields.keys() != FIELDS or fields.pop("format") != FORMAT:
        raise _damaged(f"it is not in the format {FORMAT}")
    try:
        read = {name: b64decode(value, validate=True) for name, value in fields.items()}
    except (TypeError, ValueError):
        raise _damaged("a field is not base64") from None
    if len(read["salt"]) != SALT_BYTES or len(read["nonce"]) != NONCE_BYTES:
        raise _damaged("a field has the wrong length")
    return read


def _mark(path: Path) -> tuple[int, int, int]:
    """Tell one written file from the next: every write is a new inode, moved into place."""
    found = _looked_at(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _check_private(path: Path) -> None:
    mode = stat.S_IMODE(_looked_at(path).st_mode)
    if mode & OTHERS_BITS:
        raise VaultRefused(
            "keyring_readable_by_others",
            f"{path.name} may be read or written by other accounts (mode {mode:04o}).",
            f"chmod 600 {path.name}, and ask who could have copied it.",
        )


def _looked_at(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as failure:
        raise _unreadable(path, failure) from None


def read_regular(path: Path, most: int) -> bytes:
    """Read at most so many bytes of a file; raises `OSError` at once for what is none, such as a queue nobody writes to."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read(min(most, os.fstat(handle).st_size))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock beside the file; the kernel drops it if this process dies."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _write_whole(path: Path, data: bytes) -> None:
    """Write beside, fsync, move into place: a reader sees the old file or the new one."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    beside.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unreadable(path: Path, failure: OSError) -> VaultDown | VaultDamaged:
    return _missing(path) if isinstance(failure, FileNotFoundError) else _damaged(str(failure.strerror))


def _missing(path: Path) -> VaultDown:
    return VaultDown(
        "keyring_missing", f"{path.name} is not there.", "Restore it from the backup, or create a new one."
    )


def _damaged(what: str) -> VaultDamaged:
    return VaultDamaged(
        "keyring_damaged", f"The keyring file is damaged: {what}.", "Restore it from the backup."
    )
