"""The project's folder, opened so that no link leads out of it, whatever the kernel plants in it meanwhile.

Every path is resolved by openat2(2) beneath one descriptor of the folder, without following any link, and the
descriptor it gives is what is then read, listed or renamed in: there is no moment between check and use.
"""

import ctypes
import errno
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OPENAT2 = 437  # the same number on every architecture since Linux 5.6
RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH = 0x02, 0x04, 0x08  # linux/openat2.h
RESOLVE = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
PARTIAL_PREFIX = ".partial-"

_libc = ctypes.CDLL(None, use_errno=True)


class LeavesFolderError(Exception):
    """The path is a link, passes through one, or leads out of the folder."""


class HiddenError(Exception):
    """The path names something hidden."""


@dataclass(frozen=True)
class Entry:
    """What a listing tells of one file or folder."""

    name: str
    is_folder: bool
    size: int
    created: float
    modified: float
    writable: bool


def names_in(path: str) -> tuple[str, ...]:
    """Split an API path into names. Raises `HiddenError` or `LeavesFolderError` for names that may not be used."""
    names = tuple(name for name in path.strip("/").split("/") if name)
    for name in names:
        if name == ".." or "\0" in name or "\\" in name:
            raise LeavesFolderError
        if name.startswith("."):
            raise HiddenError
    return names


def open_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open `path` below the descriptor `folder`, following no link. Raises `OSError` or `LeavesFolderError`."""
    how = ctypes.create_string_buffer(
        struct.pack("=QQQ", flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode, RESOLVE)
    )
    got: int = _libc.syscall(OPENAT2, folder, path.encode(), how, 24)
    if got >= 0:
        return got
    code = ctypes.get_errno()
    if code in {errno.ELOOP, errno.EXDEV}:
        raise LeavesFolderError
    raise OSError(code, os.strerror(code))


def _entry(name: str, found: os.stat_result) -> Entry:
    is_folder = stat.S_ISDIR(found.st_mode)
    writable = bool(found.st_mode & stat.S_IWUSR)
    return Entry(name, is_folder, found.st_size, found.st_ctime, found.st_mtime, writable)


def _is_plain(found: os.stat_result) -> bool:
    """Say whether this is a file or a folder: no link, no pipe, no socket, no device."""
    return stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)


class Folder:
    """Files and folders of one project, by API path (no leading slash)."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY)

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        descriptor = open_beneath(self._root, "/".join(names_in(path)) or ".", flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *above, name = names_in(path)
        with self._opened("/".join(above), os.O_PATH | os.O_DIRECTORY) as parent:
            yield parent, name

    def entry(self, path: str) -> Entry | None:
        """Tell what is at `path`; None when nothing is, or nothing that may be touched."""
        try:
            with self._opened(path, os.O_PATH) as descriptor:
                found = os.fstat(descriptor)
        except (OSError, LeavesFolderError, HiddenError):
            return None
        return _entry(path.rpartition("/")[2], found) if _is_plain(found) else None

    def entries(self, path: str) -> list[Entry]:
        """List a folder, without hidden names, links and special files."""
        found = []
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            for name in sorted(os.listdir(descriptor)):  # noqa: PTH208 - by descriptor
                known = self._entry_in(descriptor, name)
                if known is not None:
                    found.append(known)
        return found

    @staticmethod
    def _entry_in(folder: int, name: str) -> Entry | None:
        if name.startswith("."):
            return None
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        return _entry(name, found) if _is_plain(found) else None

    def read(self, path: str, most: int) -> bytes:
        """Give a file's bytes. Raises `OSError` with EFBIG above `most` bytes, EINVAL for what is no plain file."""
        with self._opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a plain file")
            with os.fdopen(os.dup(descriptor), "rb") as stream:
                content = stream.read(most + 1)
        if len(content) > most:
            raise OSError(errno.EFBIG, "too large")
        return content

    def write(self, path: str, content: bytes) -> None:
        """Replace or make a file, whole or not at all."""
        with self._parent(path) as (parent, name):
            partial = PARTIAL_PREFIX + secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            descriptor = open_beneath(parent, partial, flags, PRIVATE_FILE)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(partial, name, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError:
                os.unlink(partial, dir_fd=parent)
                raise

    def make_folder(self, path: str) -> None:
        with self._parent(path) as (parent, name):
            os.mkdir(name, PRIVATE_FOLDER, dir_fd=parent)

    def rename(self, old: str, new: str) -> None:
        """Give a file or folder another name. Raises `FileExistsError` when that name is taken."""
        with self._parent(old) as (old_parent, old_name), self._parent(new) as (new_parent, new_name):
            if os.access(new_name, os.F_OK, dir_fd=new_parent, follow_symlinks=False):
                raise FileExistsError(errno.EEXIST, "that name is taken")
            os.rename(old_name, new_name, src_dir_fd=old_parent, dst_dir_fd=new_parent)

    def remove(self, path: str) -> None:
        """Remove a file, or a folder that is empty. Links are removed, never what they point to."""
        with self._parent(path) as (parent, name):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
