"""The notebook server's kernel manager: a folder for each kernel, so that one sees nothing of the server's."""

import os
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

from notebooks_image.enclave_server.kernel_launcher import message_folder


class KernelInItsOwnFolder(ServerKernelManager):  # type: ignore[misc, unused-ignore]
    """Puts a kernel's connection file and message sockets where the launcher can hand over just these."""

    connection_file: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._move_apart()

    def _move_apart(self) -> None:
        given = Path(self.connection_file)
        own = given.parent / given.stem
        message_folder(own / "kernel.json").mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(own, 0o700)  # noqa: PTH101 - mkdir's mode holds for the last folder only
        self.connection_file = str(own / "kernel.json")
        self.ip = str(message_folder(own / "kernel.json") / "s")
