"""Files as they come in JSON: a plain name and base64."""

import base64
import unicodedata

from pydantic import BaseModel, ConfigDict, Field

from enclave.errors import BadInput
from enclave.web.sheets import FileIn

MOST_FILES = 64
LONGEST_NAME = 100
LARGEST_TOTAL = 16 * 1024 * 1024


class Upload(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    base64: str
    supporting: bool = False


class Uploads(BaseModel):
    """Files to check."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    files: list[Upload] = Field(min_length=1, max_length=MOST_FILES)


class NewRequest(Uploads):
    """A release request to be."""

    title: str = Field(min_length=1, max_length=200)
    purpose: str = Field(min_length=1, max_length=2000)


def read(uploads: Uploads) -> list[FileIn]:
    """Decode the files; refuse folders, hidden or look-alike names and doubles."""
    files = [FileIn(_plain(each.name), _bytes(each), each.supporting) for each in uploads.files]
    if len({file.name.casefold() for file in files}) != len(files):
        raise BadInput("file_name_twice", "Two files have the same name.", "Rename one of them.")
    if sum(len(file.content) for file in files) > LARGEST_TOTAL:
        raise BadInput("files_too_large", "The files are larger than 16 MiB together.", "Send fewer files.")
    return files


def _plain(name: str) -> str:
    odd = any(unicodedata.category(letter).startswith("C") or letter in '/\\:*?"<>|' for letter in name)
    if odd or name.startswith(".") or name != name.strip() or name != unicodedata.normalize("NFC", name):
        raise BadInput(
            "file_name_refused",
            "A file name holds a folder, a control character or is hidden.",
            "Use letters, digits, spaces, - and _.",
        )
    return name


def _bytes(upload: Upload) -> bytes:
    try:
        return base64.b64decode(upload.base64, validate=True)
    except ValueError:  # binascii.Error is one; letters beyond ASCII raise the other
        raise BadInput("base64_invalid", "A file's content is not valid base64.") from None
