"""Makes the vectors of this folder anew: `python tests/vectors/shelf/make.py` from the top of the checkout.

Each case is a folder named after what is wrong, with what changed against `good/` and the error that must name it.
Making them again changes every byte, as every key and nonce is fresh: do it only when the format changes.
"""

import dataclasses
import io
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.vault.helpers import PASSPHRASE, Keyrings, open_all, query, write
from vault import parquet
from vault.keyring import create_keyring
from vault.manifest import Manifest
from vault.shelf import open_shelf

HERE = Path(__file__).parent
GOOD = HERE / "good"
ROWS = 64
PART = "research/part-00000.parquet"


def table(seed: int) -> pa.Table:
    """Give rows of random numbers: nothing compresses, so files of as many rows have the same size."""
    rng = np.random.default_rng(seed)
    return pa.table({"_unit": pa.array(range(ROWS), pa.uint64()), "x": rng.normal(size=ROWS)})


@dataclasses.dataclass(frozen=True)
class Good:
    keys: Keyrings
    old: Manifest
    new: Manifest
    other: Manifest

    def part(self, folder: str) -> bytes:
        return (GOOD / folder / PART).read_bytes()


def make_good() -> Good:
    shutil.rmtree(GOOD, ignore_errors=True)
    GOOD.mkdir()
    create_keyring(GOOD / "keyring.json", PASSPHRASE)
    keys = open_all(GOOD / "keyring.json")
    # Two row groups, so that a chunk has a neighbour of its size to be swapped with
    parquet.ROW_GROUP_ROWS = ROWS // 4
    old = write(GOOD, keys.intake, table(1), buckets=2, domains={})
    new = write(GOOD, keys.intake, table(1), buckets=2, domains={}, version=2, previous=old.sha256)
    other = write(GOOD, keys.intake, table(1), buckets=2, domains={}, dataset="passages", version=2)
    (GOOD / "keyring.json.lock").unlink()
    return Good(keys, old, new, other)


def case(
    name: str,
    code: str,
    files: dict[str, bytes | None],
    expected: str | None = None,
) -> None:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in files.items():
        if content is not None:
            (folder / path.replace("/", "__")).write_bytes(content)
    removed = [path for path, content in files.items() if content is None]
    told = {"code": code, "removed": removed, "expected_sha256": expected}
    (folder / "case.json").write_text(json.dumps(told, indent=1) + "\n")


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def chunk_swapped(good: Good) -> bytes:
    """Swap the chunks of the last column between two row groups, which only the key's holder can find."""
    shelf = open_shelf(GOOD, good.new, "research", good.keys.engine, query())
    meta = shelf.files[0]._open().metadata
    chunks = [meta.row_group(group).column(1) for group in (0, 1)]
    (first, second) = [(chunk.data_page_offset, chunk.total_compressed_size) for chunk in chunks]
    assert first[1] == second[1], "chunks of one size are needed"
    content = bytearray(good.part("sejours/v2"))
    one, two = (slice(place, place + size) for place, size in (first, second))
    content[one], content[two] = content[two], content[one]
    return bytes(content)


def plain_of_the_same_size(good: Good) -> bytes:
    size = len(good.part("sejours/v2"))
    rows = good.new.parts[0].rows
    # A length of 128 costs one more byte to write, so the name of the padding varies too
    for pad, name in itertools.product(range(size), ("pad", "pad2")):
        held = io.BytesIO()
        plain = table(3).slice(0, rows)
        with pq.ParquetWriter(held, plain.schema, store_schema=False, use_dictionary=False) as writer:
            writer.write_table(plain)
            writer.add_key_value_metadata({name: "x" * pad})
        if held.tell() == size:
            return held.getvalue()
    raise AssertionError


def signed(good: Good, manifest: Manifest) -> dict[str, bytes | None]:
    data = manifest.to_bytes()
    signature = good.keys.intake.sign("manifest", data)
    return {"sejours/v2/manifest.json": data, "sejours/v2/manifest.json.sig": signature}


def main() -> None:
    good = make_good()
    (GOOD / "case.json").write_text(
        json.dumps(
            {"sha256": good.new.sha256, "public_key": good.keys.engine.public_key("manifest").hex()}, indent=1
        )
        + "\n"
    )
    part = good.part("sejours/v2")
    path = f"sejours/v2/{PART}"
    second = (GOOD / "sejours/v2/research/part-00001.parquet").read_bytes()
    case("bit_flip_in_a_page", "shelf_part_damaged", {path: flipped(part, 60)})
    case("bit_flip_in_the_footer", "shelf_part_damaged", {path: flipped(part, len(part) - 40)})
    case("truncated", "shelf_part_wrong_size", {path: part[:-100]})
    case("chunk_swapped_inside_a_file", "shelf_part_damaged", {path: chunk_swapped(good)})
    case("part_of_another_dataset", "shelf_part_damaged", {path: good.part("passages/v2")})
    case("part_of_an_older_version", "shelf_part_damaged", {path: good.part("sejours/v1")})
    case("part_missing", "shelf_part_missing", {"sejours/v2/research/part-00001.parquet": None})
    case("plain_parquet_in_its_place", "shelf_part_damaged", {path: plain_of_the_same_size(good)})
    swap = {path: second, "sejours/v2/research/part-00001.parquet": part}
    sizes = tuple(
        given.model_copy(update={"bytes": len(swap[f"sejours/v2/{given.path}"])}) for given in good.new.parts
    )
    resized = good.new.model_copy(update={"parts": sizes})
    case("parts_swapped_inside_a_shelf", "shelf_part_damaged", swap | signed(good, resized), resized.sha256)
    old = {
        f"sejours/v2/{name}": (GOOD / "sejours/v1" / name).read_bytes()
        for name in ("manifest.json", "manifest.json.sig")
    }
    case("manifest_rolled_back", "manifest_not_the_recorded_one", old)
    case("manifest_of_another_version", "manifest_of_another_version", old, good.old.sha256)
    stolen = good.new.model_copy(update={"wrapped_keys": good.other.wrapped_keys})
    case("key_of_another_dataset", "wrapped_key_mismatch", signed(good, stolen), stolen.sha256)
    rows = (good.new.parts[0].model_copy(update={"rows": 1}), good.new.parts[1])
    short = good.new.model_copy(update={"parts": rows})
    case("wrong_row_count", "shelf_part_damaged", signed(good, short), short.sha256)
    forged = {"sejours/v2/manifest.json.sig": good.keys.publisher.sign("package", good.new.to_bytes())}
    case("manifest_signed_by_another_key", "manifest_signature_wrong", forged)


if __name__ == "__main__":
    main()
