"""An export: what an auditor takes away to check the trail elsewhere, with this program or with somebody else's."""

from pathlib import Path
from typing import Final

from audit.checkpoint import open_checkpoint, read_vkey
from audit.confirm import FOLDER
from audit.confirmations import PATTERN
from audit.errors import BadInput
from audit.log import VKEY
from audit.retention_pruning import PRUNED_FILE, read_pruned
from audit.statement import Statement
from audit.tiles import (
    CHECKPOINT,
    ENTRIES,
    SCRATCH,
    WIDTH,
    TileReader,
    clear_scratch,
    encode_bundle,
    tile_path,
    widths,
    write_files,
)

README: Final = "README.md"
STATEMENT: Final = "statement.jsonl"
TEXT: Final = """# Export of the trail {origin}

{size} entries, root `{root}` (SHA-256, RFC 6962), signed by the key `{vkey}`.

This folder is a C2SP tiled transparency log: `checkpoint` is a signed note, `tile/` holds hash tiles and entry
bundles, `vkey` is the verifier key. `confirmed/` holds checkpoints with the lines of witnesses (C2SP tlog-cosignature)
and the time stamps over them (RFC 3161), where there are any. Take the key from somewhere you trust rather than from this folder.
`{statement}`, where there is one, is what the house says its own books hold (ledger, releases, versions, notebooks): ids and
hashes. It is unsigned: it accuses the house, and does not speak for it.

{pruned}## Check it with the program that wrote it

    python -m audit verify . --vkey '{vkey}'

Keep the file `checkpoint`. Next time, prove that the trail still continues it; a trail that was rolled back or
rewritten by whoever holds its key shows in this way, or by the keys of witnesses and the root certificate of a
time-stamping authority that you have from them:

    python -m audit verify NEWER-EXPORT --vkey '{vkey}' --since checkpoint
    python -m audit verify . --vkey '{vkey}' --witness-key WITNESS-KEY --stamp-root tsa-root.pem

A ledger put back to an older state under an intact trail shows only when the two are compared:

    python -m audit verify . --vkey '{vkey}' --against {statement}

## Check it with programs written by others

    # Tessera (github.com/transparency-dev/tessera) re-derives every hash; it prints "fsck failed" when one is wrong
    go run github.com/transparency-dev/tessera/cmd/fsck@v1.0.4 \\
      --storage_url="file://$PWD/" --public_key=vkey --ui=false --N=8 -v=1

    # OpenSSL, one entry: the leaf hash is the SHA-256 of a zero byte followed by the entry
    dd if=tile/{first} bs=1 skip=2 count=$(od -An -tu1 -N2 tile/{first} | awk '{{print $1*256+$2}}') \\
      2>/dev/null | (printf '\\000'; cat) | openssl dgst -sha256
    dd if=tile/{leaf} bs=32 count=1 2>/dev/null | od -An -tx1

    # OpenSSL, the time stamps: each covers the file of the same name without .tsr
    for each in confirmed/*.tsr; do openssl ts -verify -in "$each" -data "${{each%.tsr}}" -CAfile tsa-root.pem; done
"""


PRUNED_WORDS: Final = """Entries 0 to {last} were pruned when their time was over (C2SP tlog-tiles, *Pruning*): the file `pruned` names the entry
that announced it. Their hash tiles are here, so that every proof still holds; programs that want every bundle, Tessera's
`fsck` among them, stop at the first that is missing.

"""


def export(directory: Path, out: Path, statement: Statement | None = None) -> None:
    """Copy what the checkpoint covers, whatever the recorder does meanwhile, and say how to check it.

    `statement` is what the house says its books hold, to lie beside. Nothing is corrected: a damaged trail gives a damaged export. Raises BadInput when there is no trail or
    `out` is not empty, LogDamaged when a file is missing, ProofWrong when the checkpoint is not signed by the
    folder's key.
    """
    if out.exists() and any(out.iterdir()):
        raise BadInput("export_not_empty", f"there is something in {out}", "give a new folder")
    try:
        note = (directory / CHECKPOINT).read_text(encoding="utf-8")
        vkey = (directory / VKEY).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise BadInput("no_trail", f"there is no trail in {directory}") from None
    checkpoint = open_checkpoint(note, read_vkey(vkey))
    out.mkdir(parents=True, exist_ok=True)
    clear_scratch(out)
    pruned = read_pruned(directory)
    kept_from = 0 if pruned is None else pruned.boundary
    _copy_tiles(TileReader(directory, checkpoint.size), out, kept_from)
    text = TEXT.format(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        vkey=vkey,
        first=_first(ENTRIES, checkpoint.size, kept_from),
        leaf=_first(0, checkpoint.size, kept_from),
        statement=STATEMENT,
        pruned=PRUNED_WORDS.format(last=kept_from - 1) if kept_from else "",
    )
    files = {VKEY: f"{vkey}\n".encode(), README: text.encode(), CHECKPOINT: note.encode()}
    if kept_from:
        files[PRUNED_FILE] = (directory / PRUNED_FILE).read_bytes()
    write_files(out, files if statement is None else files | {STATEMENT: statement.to_bytes()})
    _copy_confirmed(directory / FOLDER, out)
    (out / SCRATCH).rmdir()


def _copy_confirmed(folder: Path, out: Path) -> None:
    """Copy what witnesses and time-stamping authorities said, as it lies there."""
    names = sorted(path.name for path in folder.glob(f"{PATTERN}*"))
    write_files(out, {f"{FOLDER}/{name}": (folder / name).read_bytes() for name in names})


def _first(level: int | str, size: int, kept_from: int) -> str:
    """Give the first bundle that is there, or its tile."""
    return tile_path(level, kept_from // WIDTH, min(size - kept_from, WIDTH)).removeprefix("tile/")


def _copy_tiles(reader: TileReader, out: Path, kept_from: int) -> None:
    level = 0
    while reader.size >> (8 * level):
        full, partial = widths(level, reader.size)
        for index in range(full + bool(partial)):
            width = WIDTH if index < full else partial
            files = {tile_path(level, index, width): reader.hash_tile(level, index)}
            if level == 0 and index * WIDTH >= kept_from:
                files[tile_path(ENTRIES, index, width)] = encode_bundle(reader.bundle(index))
            write_files(out, files)
        level += 1
