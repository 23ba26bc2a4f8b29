"""Keeps the bytes of requests and packages on disk, sealed, one folder a request."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from enclave.errors import Damaged, NotFound
from enclave.receipt import Receipt, require
from vault.errors import VaultError

Seal = Callable[[bytes, str], bytes]
"""Seals or opens bytes bound to a name; the vault's, handed over by the wiring."""

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
PACKAGE = "package"
LOOKERS = frozenset({"audit.verify", "audit.export"})
TRAIL = "trail:log"
READERS = frozenset({"release.check", "release.view", "release.package"})


class ReleaseFolder:
    """The folder `releases/`; what is under it is sealed and named by hash."""

    def __init__(self, root: Path, seal: Seal, unseal: Seal) -> None:
        self._root = root
        self._seal = seal
        self._unseal = unseal

    def put(self, request: str, content: bytes, receipt: Receipt) -> str:
        """Keep a file of a request; gives its SHA-256."""
        require(receipt, "release.create", f"request:{request}")
        digest = sha256(content).hexdigest()
        self._write(request, digest, content)
        return digest

    def get(self, request: str, digest: str, receipt: Receipt) -> bytes:
        """Open a file of a request. Raises `NotFound`, or `Damaged` when it is not what was put there."""
        require(receipt, READERS, f"request:{request}")
        return self._read(request, digest, digest)

    def put_package(self, request: str, content: bytes, receipt: Receipt) -> str:
        """Keep the sealed package; gives its SHA-256."""
        require(receipt, "release.package", f"request:{request}")
        self._write(request, PACKAGE, content)
        return sha256(content).hexdigest()

    def get_package(self, request: str, digest: str, receipt: Receipt) -> bytes:
        """Open the package for its recipient. Raises as `get` does."""
        require(receipt, "release.download", f"request:{request}")
        return self._read(request, PACKAGE, digest)

    def requests(self) -> list[str]:
        """Give the requests that a package is kept of."""
        return sorted(path.parent.name for path in self._root.glob(f"*/{PACKAGE}.sealed"))

    def look_at_package(
        self, request: str, look: Callable[[bytes], str | None], receipt: Receipt
    ) -> str | None:
        """Give what `look` finds in a package as it lies there; None also where it opens for nobody."""
        require(receipt, LOOKERS, TRAIL)
        try:
            sealed = (self._root / request / f"{PACKAGE}.sealed").read_bytes()
            return look(self._unseal(sealed, f"{request}/{PACKAGE}"))
        except (OSError, VaultError):
            return None

    def _write(self, request: str, name: str, content: bytes) -> None:
        folder = self._root / request
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        partial = folder / f"{name}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
            file.write(self._seal(content, f"{request}/{name}"))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(folder / f"{name}.sealed")
        _keep_names(folder)
        _keep_names(self._root)

    def _read(self, request: str, name: str, digest: str) -> bytes:
        try:
            sealed = (self._root / request / f"{name}.sealed").read_bytes()
        except FileNotFoundError:
            raise NotFound("no_such_file", "The request holds no such file.", "Open it again.") from None
        content = self._unseal(sealed, f"{request}/{name}")
        if sha256(content).hexdigest() != digest:
            raise Damaged(
                "file_changed",
                f"A file of the request {request} is not what was put there.",
                "Nothing was let out. Compare the folder with its backup and tell the auditor.",
                request=request,
            )
        return content


def _keep_names(folder: Path) -> None:
    """Make a rename in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
