"""Which file names may leave in a package: ones that mean the same file on every system and to every reader."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from vault.errors import VaultUsage

MAX_NAME_BYTES: Final = 200
MAX_DEPTH: Final = 4
# Windows' reserved characters, and "%" which BagIt (RFC 8493 section 2.1.3) would have to rewrite
FORBIDDEN: Final = frozenset('\\:*?"<>|%')
# Names Windows keeps for devices, whatever follows the first dot
DEVICES: Final = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_file_names(names: Iterable[str]) -> None:
    """Check every name, and that no two are one file where case or Unicode form is not told apart."""
    seen: set[str] = set()
    folders: set[str] = set()
    for name in names:
        check_file_name(name)
        folded = fold(name)
        if folded in seen:
            raise _refused("file_name_twice", "Two files have names that some systems take for one.")
        seen.add(folded)
        steps = folded.split("/")
        folders.update("/".join(steps[:depth]) for depth in range(1, len(steps)))
    if seen & folders:
        raise _refused("file_name_twice", "A file has the name of a folder.")


def check_file_name(name: str) -> None:
    """Check one relative name: no way out, nothing unseen, nothing a system reserves."""
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        raise _refused("file_name_length", f"A file name has 1 to {MAX_NAME_BYTES} bytes.")
    if any(unicodedata.category(letter)[0] == "C" or letter in FORBIDDEN for letter in name):
        raise _refused("file_name_character", "A file name holds an unseen or reserved character.")
    if unicodedata.normalize("NFC", name) != name:
        raise _refused("file_name_character", "A file name is not in Unicode form NFC.")
    steps = name.split("/")
    if len(steps) > MAX_DEPTH or not all(_is_plain(step) for step in steps):
        raise _refused("file_name_path", "A file name leads out of its folder, or is one a system reserves.")


def fold(name: str) -> str:
    """Give what two names share when a system without case or Unicode forms takes them for one."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _is_plain(step: str) -> bool:
    """Tell whether a step is a name: ".", "..", hidden files, edges of space or dot, and devices are not."""
    return bool(step) and step.strip(" .") == step and DEVICES.fullmatch(step) is None


def _refused(code: str, message: str) -> VaultUsage:
    return VaultUsage(
        code, message, "Rename the file: letters, digits, hyphens, underscores and one dot are safe."
    )
