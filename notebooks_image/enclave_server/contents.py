"""The notebook server's file manager: source text and notebooks of one project, nothing else, and no link.

What the browser reads is metered and limited elsewhere too; here the point is that the trusted server never
opens, for the researcher, a file the researcher's own kernel could not: a link to the server's environment.
"""

import datetime as dt
import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat  # type: ignore[import-not-found, unused-ignore]
from jupyter_server.services.contents.checkpoints import Checkpoints, GenericCheckpointsMixin
from jupyter_server.services.contents.manager import ContentsManager
from tornado.web import HTTPError
from traitlets import Unicode

from notebooks_image.enclave_server.folder import Entry, Folder, HiddenError, LeavesFolderError, names_in

FILE_BYTES_MAX = 2_000_000
NOTEBOOK = ".ipynb"
# What a person writes; a data file leaves through a release request.
SOURCE_TYPES = frozenset(
    {".ipynb", ".py", ".r", ".rmd", ".qmd", ".jl", ".sql", ".md", ".txt", ".toml", ".yaml", ".yml"}
)
CHECKPOINT = "last-save"
NOTEBOOK_VERSION = 4

CLOSED_TYPE = (
    "Seuls les carnets et le code source s'ouvrent ici. — Only notebooks and source text can be opened here."
)
CLOSED_BINARY = "Le dépôt de fichiers est fermé. — Uploads are closed."
TOO_LARGE = "Fichier trop grand pour être affiché. — The file is too large to be shown."
LEAVES = "Ce chemin sort du projet. — This path leaves the project."
NOT_A_NOTEBOOK = "Ce fichier n'est pas un carnet. — This file is not a notebook."
NOT_TEXT = "Ce fichier n'est pas du texte UTF-8. — This file is not UTF-8 text."
NOT_FOUND = "Fichier ou dossier introuvable. — No such file or folder."
NAME_TAKEN = "Ce nom est déjà pris. — That name is taken."
NOT_EMPTY = "Le dossier n'est pas vide. — The folder is not empty."
FAILED = "Le fichier n'a pas pu être lu ou écrit. — The file could not be read or written."

_BY_ERRNO = {
    errno.ENOENT: (404, NOT_FOUND),
    errno.ENOTDIR: (404, NOT_FOUND),
    errno.EFBIG: (403, TOO_LARGE),
    errno.EINVAL: (403, CLOSED_TYPE),
    errno.EEXIST: (409, NAME_TAKEN),
    errno.ENOTEMPTY: (400, NOT_EMPTY),
    errno.ENOSPC: (507, FAILED),
}


def is_source(path: str) -> bool:
    """Say whether a name is one of source text or of a notebook."""
    return PurePosixPath(path).suffix.lower() in SOURCE_TYPES


def is_notebook(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() == NOTEBOOK


@contextmanager
def kind_refusals() -> Iterator[None]:
    """Turn what the folder raises into answers that tell no content and no host path."""
    try:
        yield
    except (LeavesFolderError, HiddenError):
        raise HTTPError(403, LEAVES, reason="leaves the project") from None
    except OSError as error:
        status, message = _BY_ERRNO.get(error.errno or 0, (500, FAILED))
        raise HTTPError(status, message, reason="refused") from None


def _utc(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _model(path: str, entry: Entry) -> dict[str, Any]:
    kind = "directory" if entry.is_folder else "notebook" if is_notebook(path) else "file"
    return {
        "name": entry.name,
        "path": path,
        "type": kind,
        "format": None,
        "mimetype": None,
        "content": None,
        "size": None if entry.is_folder else entry.size,
        "writable": entry.writable,
        "created": _utc(entry.created),
        "last_modified": _utc(entry.modified),
        "hash": None,
        "hash_algorithm": None,
    }


def read_notebook(raw: bytes) -> Any:
    """Parse a notebook. Raises 400 without a word of the content when it is none."""
    try:
        notebook = nbformat.reads(raw.decode(), as_version=NOTEBOOK_VERSION)
        nbformat.validate(notebook)
    except Exception:  # noqa: BLE001 - whatever the parser says quotes the content
        raise HTTPError(400, NOT_A_NOTEBOOK, reason="not a notebook") from None
    return notebook


def notebook_from(content: Any) -> Any:
    """Take a notebook the browser sends. Raises 400 without a word of the content."""
    return read_notebook(json.dumps(content).encode())


class SourceOnlyContents(ContentsManager):  # type: ignore[misc, unused-ignore]
    """Files of the project, by the rules of this module."""

    root_dir = Unicode("/project", config=True)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._folder = Folder(Path(self.root_dir))

    def _checkpoints_class_default(self) -> type:
        return MemoryCheckpoints

    def get_kernel_path(self, path: str, model: Any = None) -> str:  # noqa: ARG002 - the base class's signature
        """Start a kernel in its notebook's folder."""
        parent = path.strip("/").rpartition("/")[0]
        return parent if self.dir_exists(parent) else ""

    def dir_exists(self, path: str) -> bool:
        entry = self._folder.entry(path.strip("/"))
        return entry is not None and entry.is_folder

    def file_exists(self, path: str = "") -> bool:
        entry = self._folder.entry(path.strip("/"))
        return entry is not None and not entry.is_folder

    @staticmethod
    def is_hidden(path: str) -> bool:
        try:
            names_in(path)
        except (HiddenError, LeavesFolderError):
            return True
        return False

    def get(
        self,
        path: str,
        content: bool = True,  # noqa: FBT001, FBT002 - the base class's signature
        type: str | None = None,  # noqa: A002
        format: str | None = None,  # noqa: A002
        require_hash: bool = False,  # noqa: FBT001, FBT002
    ) -> dict[str, Any]:
        """Give the model of a file, notebook or folder; 403 for what may not be shown."""
        path = path.strip("/")
        with kind_refusals():
            names_in(path)
            entry = self._folder.entry(path)
            if entry is None:
                raise HTTPError(404, NOT_FOUND)
            if (type == "directory") != entry.is_folder and type is not None:
                raise HTTPError(400, NOT_FOUND, reason="wrong type")
            model = _model(path, entry)
            if entry.is_folder:
                return self._with_listing(model, path) if content else model
            if not content and not require_hash:
                return model
            shown = self._with_content(model, path, type, format)
            return shown if content else {**shown, "content": None, "format": None, "mimetype": None}

    def _with_listing(self, model: dict[str, Any], path: str) -> dict[str, Any]:
        prefix = f"{path}/" if path else ""
        listed = [_model(prefix + entry.name, entry) for entry in self._folder.entries(path)]
        return {**model, "format": "json", "content": listed}

    def _with_content(
        self, model: dict[str, Any], path: str, asked: str | None, form: str | None
    ) -> dict[str, Any]:
        if not is_source(path) or form == "base64":
            raise HTTPError(403, CLOSED_TYPE, reason="closed type")
        raw = self._folder.read(path, FILE_BYTES_MAX)
        model |= {"hash": hashlib.sha256(raw).hexdigest(), "hash_algorithm": "sha256"}
        if model["type"] == "notebook" and asked != "file":
            notebook = read_notebook(raw)
            self.mark_trusted_cells(notebook, path)
            return {**model, "format": "json", "content": notebook}
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise HTTPError(400, NOT_TEXT, reason="not text") from None
        return {**model, "type": "file", "format": "text", "mimetype": "text/plain", "content": text}

    def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Write what the browser's editor holds; 403 for uploads and for other types."""
        path = path.strip("/")
        with kind_refusals():
            names_in(path)
            if model.get("type") == "directory":
                if not self.dir_exists(path):
                    self._folder.make_folder(path)
            else:
                self._folder.write(path, self._bytes_of(model, path))
            return self.get(path, content=False)

    def _bytes_of(self, model: dict[str, Any], path: str) -> bytes:
        if not is_source(path) or "chunk" in model or model.get("format") == "base64":
            raise HTTPError(403, CLOSED_BINARY, reason="uploads are closed")
        if model.get("type") == "notebook":
            notebook = notebook_from(model.get("content"))
            self.check_and_sign(notebook, path)
            content = nbformat.writes(notebook, version=NOTEBOOK_VERSION)
        else:
            content = str(model.get("content") or "")
        raw: bytes = content.encode()
        if len(raw) > FILE_BYTES_MAX:
            raise HTTPError(403, TOO_LARGE, reason="too large")
        return raw

    def delete_file(self, path: str) -> None:
        with kind_refusals():
            self._folder.remove(path)

    def rename_file(self, old_path: str, new_path: str) -> None:
        """Give another name; a data file cannot take a name under which it could be read here."""
        old, new = old_path.strip("/"), new_path.strip("/")
        with kind_refusals():
            entry = self._folder.entry(old)
            if entry is not None and not entry.is_folder and is_source(new) and not is_source(old):
                raise HTTPError(403, CLOSED_TYPE, reason="closed type")
            self._folder.rename(old, new)


class MemoryCheckpoints(GenericCheckpointsMixin, Checkpoints):  # type: ignore[misc, unused-ignore]
    """One earlier state a file, kept by the server for its own life.

    In memory, because a folder of checkpoints inside the project is one the kernel could turn into a link.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._kept: dict[str, tuple[dt.datetime, dict[str, Any]]] = {}

    def _keep(self, path: str, model: dict[str, Any]) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC)
        self._kept[path] = (now, model)
        return {"id": CHECKPOINT, "last_modified": now}

    def create_file_checkpoint(self, content: str, format: str, path: str) -> dict[str, Any]:  # noqa: A002
        return self._keep(path, {"type": "file", "format": format, "content": content})

    def create_notebook_checkpoint(self, nb: Any, path: str) -> dict[str, Any]:
        return self._keep(path, {"type": "notebook", "format": "json", "content": nb})

    def _get(self, checkpoint_id: str, path: str) -> dict[str, Any]:
        if checkpoint_id != CHECKPOINT or path not in self._kept:
            raise HTTPError(404, NOT_FOUND)
        return self._kept[path][1]

    def get_file_checkpoint(self, checkpoint_id: str, path: str) -> dict[str, Any]:
        return self._get(checkpoint_id, path)

    def get_notebook_checkpoint(self, checkpoint_id: str, path: str) -> dict[str, Any]:
        return self._get(checkpoint_id, path)

    def list_checkpoints(self, path: str) -> list[dict[str, Any]]:
        kept = self._kept.get(path)
        return [{"id": CHECKPOINT, "last_modified": kept[0]}] if kept else []

    def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        self._get(checkpoint_id, path)
        del self._kept[path]

    def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> None:
        self._get(checkpoint_id, old_path)
        self._kept[new_path] = self._kept.pop(old_path)
