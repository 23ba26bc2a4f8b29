"""Making a version unreadable for ever: its keys are destroyed first, then its files are removed."""

import shutil
from pathlib import Path

from vault.keys import SHRED_ACTS, KeyService
from vault.manifest import SHELVES, answers_context, quarantine_context, shelf_context, version_folder
from vault.receipt import Receipt, check_receipt
from vault.sealed_file import sync_folder


def shred_version(
    root: Path,
    dataset: str,
    version: int,
    keys: KeyService,
    receipt: Receipt,
    *,
    keep_answers: bool = False,
) -> None:
    """Shred every key of a version (its shelves, rows put aside, and answers unless kept), then remove its files.

    Needs no manifest, so a damaged version can be shredded too; a second time changes nothing.
    """
    check_receipt(receipt, SHRED_ACTS, f"dataset:{dataset}")
    for shelf in SHELVES:
        keys.shred(shelf, shelf_context(dataset, version, shelf), receipt)
    keys.shred("quarantine", quarantine_context(dataset, version), receipt)
    if not keep_answers:
        keys.shred("answers", answers_context(dataset, version), receipt)
    folder = version_folder(root, dataset, version)
    if folder.exists():
        shutil.rmtree(folder)
        sync_folder(folder.parent)
