"""The only door to encrypted Parquet files: one key a file, every byte bound to its place, nothing in clear.

Parquet Modular Encryption (apache/parquet-format, Encryption.md) through pyarrow's low-level properties:
AES_GCM_V1, encrypted footer, and an AAD prefix dataset|version|shelf|part that is not stored in the file, so a
file served in another's place does not open. AES_GCM_CTR_V1 would let changed pages through, and CryptoFactory
opens swapped and plain files: neither is used.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import VaultDamaged

CIPHER: Final = "AES_GCM_V1"
COMPRESSION: Final = "lz4"
KEY_BYTES: Final = 32
# A part is one row group, mostly: it is read whole.
ROW_GROUP_ROWS: Final = 1024 * 1024
# A dictionary column keeps its declared domain as its dictionary page, so the page must never overflow.
DICTIONARY_PAGE_BYTES: Final = 256 * 1024 * 1024
# So many whole numbers at most go into a dictionary: their places take two bytes.
FEW: Final = 2**16


@dataclass(frozen=True)
class Place:
    """Where a file belongs; a file read in any other place does not open."""

    dataset: str
    version: int
    shelf: str
    part: str

    def to_bytes(self) -> bytes:
        """Give the AAD prefix; none of the four can hold a bar."""
        return f"{self.dataset}|{self.version}|{self.shelf}|{self.part}".encode()


@dataclass(frozen=True)
class Written:
    """What a written file is known by."""

    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class EncryptedFile:
    """One file, its place and the key of its shelf."""

    path: Path
    place: Place
    rows: int
    data_key: bytes = field(repr=False)

    def schema(self) -> pa.Schema:
        """Read the footer and give the schema it holds."""
        try:
            return self._open().schema_arrow
        except (OSError, pa.ArrowException):
            raise self._damaged() from None

    def read(self, schema: pa.Schema, columns: Sequence[str] | None) -> pa.Table:
        """Read the columns named (all when None); raises unless rows and schema are the expected ones."""
        try:
            file = self._open()
            if file.metadata.num_rows != self.rows or not file.schema_arrow.equals(
                schema, check_metadata=True
            ):
                raise self._damaged()
            return file.read(columns=None if columns is None else list(columns), use_threads=False)
        except (OSError, pa.ArrowException):
            raise self._damaged() from None

    def _open(self) -> pq.ParquetFile:
        properties = pe.create_decryption_properties(
            _file_key(self.data_key, self.place),
            aad_prefix=self.place.to_bytes(),
            allow_plaintext_files=False,
        )
        return pq.ParquetFile(self.path, decryption_properties=properties)

    def _damaged(self) -> VaultDamaged:
        name = f"{self.place.shelf}/{self.place.part}"
        return VaultDamaged(
            "shelf_part_damaged",
            f"{name} of {self.place.dataset} version {self.place.version} is not what was written there.",
            "Restore this version from the backup and look at the trail.",
            part=name,
        )


def write_encrypted(path: Path, table: pa.Table, place: Place, data_key: bytes) -> Written:
    """Write a table encrypted into a new file, mode 0600; durable on return."""
    path.touch(mode=0o600, exist_ok=False)
    properties = pe.create_encryption_properties(
        _file_key(data_key, place),
        aad_prefix=place.to_bytes(),
        store_aad_prefix=False,
        encryption_algorithm=CIPHER,
        plaintext_footer=False,
    )
    pq.write_table(table, path, encryption_properties=properties, **layout(table))
    return durable(path, table.num_rows)


def durable(path: Path, rows: int) -> Written:
    """Make a written file durable and give what it is known by."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return Written(rows, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def layout(table: pa.Table) -> dict[str, object]:
    """Give pyarrow's options for the layout of a shelf: lz4, and dictionaries where there are few values.

    Those are the declared domains, and whole numbers and days that lie close together: a fifth fewer bytes to decrypt.
    """
    return {
        "compression": COMPRESSION,
        "row_group_size": ROW_GROUP_ROWS,
        "use_dictionary": [name for name in table.column_names if _few_values(table.column(name))],
        "dictionary_pagesize_limit": DICTIONARY_PAGE_BYTES,
        # Parts are read whole, so minima and maxima would cost a third of the writing for nothing
        "write_statistics": False,
    }


def _few_values(column: pa.ChunkedArray) -> bool:
    if pa.types.is_date32(column.type):
        column = column.cast(pa.int32())
    if not pa.types.is_integer(column.type):
        return bool(pa.types.is_dictionary(column.type))
    ends = pc.min_max(column).as_py()
    return ends["min"] is not None and ends["max"] - ends["min"] < FEW


def _file_key(data_key: bytes, place: Place) -> bytes:
    info = f"enclave shelf file v1|{place.shelf}|{place.part}".encode()
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(data_key)
