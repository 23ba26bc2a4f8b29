"""A partner's file, read by its dataset policy: typed rows, and the rows that cannot be kept with the reason why.

Everything in the file is hostile: a reason names a column and a rule, never a value. CSV with `;`, `,` or tab, UTF-8,
plain or gzip; decimal point or comma; dates as 2025-01-31 or 31/01/2025.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv

from enclave.agreements.policy import DatasetPolicy, PolicyColumn
from enclave.errors import BadInput

DELIMITERS: Final = (";", ",", "\t")
# A line that long is not a line of a table; it would have to be held in memory whole.
HEADER_BYTES_MAX: Final = 1_000_000
BLOCK_BYTES: Final = 4 << 20
# As many rows as tell what a column holds.
SAMPLE_ROWS: Final = 5_000
LINE: Final = "_line"
REASON: Final = "_reason"
TRUE_WORDS: Final = ("1", "1.0", "true", "oui", "o", "yes", "y")
FALSE_WORDS: Final = ("0", "0.0", "false", "non", "n", "no")


@dataclass(frozen=True)
class PartnerRows:
    """Rows of a partner's file: `kept` typed by the policy, `aside` as written with `_line` and `_reason`."""

    kept: pl.DataFrame
    aside: pl.DataFrame

    @property
    def read(self) -> int:
        """How many rows the file held."""
        return self.kept.height + self.aside.height

    def reasons(self) -> dict[str, int]:
        """How many rows were put aside for each reason."""
        counted = self.aside.group_by(REASON).len().sort(REASON)
        return dict(counted.iter_rows())


def read_partner_file(path: Path, policy: DatasetPolicy) -> PartnerRows:
    """Read a CSV by its policy.

    Raises `BadInput` when the file as a whole is not what the policy describes: nothing is kept of it then.
    """
    names = [column.name for column in policy.source_columns]
    delimiter = _delimiter(path, names)
    written, broken = _as_text(path, delimiter)
    _check_complete(path)
    return _by_policy(written, broken, policy)


def sample(path: Path, rows: int = SAMPLE_ROWS) -> pl.DataFrame:
    """Read the first rows of a file nothing was declared about yet, every cell as text.

    Raises `BadInput` when it cannot be read as CSV.
    """
    header = _header(path)
    delimiter = max(DELIMITERS, key=header.count)
    try:
        return pl.read_csv(path, separator=delimiter, infer_schema=False, n_rows=rows)
    except (pl.exceptions.PolarsError, OSError):
        raise _not_csv(path) from None


def put_aside(rows: PartnerRows, bad: pl.Series, reason: str) -> PartnerRows:
    """Move the rows a later step cannot keep (`bad`, one boolean a row of `kept`) to the side, with its reason."""
    moved = rows.kept.filter(bad)
    shown = moved.select(
        pl.col(LINE),
        pl.lit(reason).alias(REASON),
        *[pl.col(name).cast(pl.String) for name in rows.kept.columns if name != LINE],
    )
    return PartnerRows(rows.kept.filter(~bad), pl.concat([rows.aside, shown], how="diagonal"))


def _delimiter(path: Path, names: list[str]) -> str:
    header = _header(path)
    found = {
        mark: [cell.strip().strip('"') for cell in header.rstrip("\r\n").split(mark)] for mark in DELIMITERS
    }
    best = max(DELIMITERS, key=lambda mark: len(set(found[mark]) & set(names)))
    _check_header(found[best], names, path)
    return best


def _header(path: Path) -> str:
    try:
        with _open(path) as file:
            return file.readline(HEADER_BYTES_MAX).decode("utf-8-sig")
    except OSError:
        raise BadInput(
            "partner_file_unreadable",
            f"The file {path.name} cannot be read.",
            "Check its name and rights.",
            file=path.name,
        ) from None
    except (UnicodeDecodeError, EOFError):
        raise BadInput(
            "partner_file_encoding",
            f"The file {path.name} is not UTF-8 text.",
            "Save it as CSV in UTF-8.",
            file=path.name,
        ) from None


def _check_header(header: list[str], names: list[str], path: Path) -> None:
    missing = [name for name in names if name not in header]
    unknown = len(set(header) - set(names))
    if missing:
        listed = ", ".join(missing[:8])
        raise BadInput(
            "partner_file_columns_missing",
            f"The file {path.name} lacks {len(missing)} column(s) of the policy: {listed}.",
            "Correct the file's header, or the policy.",
            file=path.name,
            columns=listed,
        )
    if unknown or len(set(header)) != len(header):
        raise BadInput(
            "partner_file_columns_unknown",
            f"The file {path.name} has {unknown or 'repeated'} column(s) that the policy does not declare.",
            "Declare each column (`shelf: none` leaves it out), then bring the file in again.",
            file=path.name,
        )


def _open(path: Path) -> gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]  # both are binary files


def _as_text(path: Path, delimiter: str) -> tuple[pl.DataFrame, list[int]]:
    """Read every cell as the text it is; gives the rows with their line, and the lines with too few or many cells."""
    broken: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        broken.append(row.number or 0)
        return "skip"

    parsing = pa_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=skip, newlines_in_values=True)
    try:
        with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
            read = pa_csv.read_csv(
                stream,
                read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
                parse_options=parsing,
                convert_options=pa_csv.ConvertOptions(
                    column_types=_all_text(path, delimiter), strings_can_be_null=False
                ),
            )
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError):
        raise _not_csv(path) from None
    table = pl.from_arrow(read)
    assert isinstance(table, pl.DataFrame)  # noqa: S101 - a table gives a frame
    lines = _line_numbers(table.height, broken)
    return table.with_columns(pl.Series(LINE, lines, dtype=pl.Int64)), broken


def _not_csv(path: Path) -> BadInput:
    return BadInput(
        "partner_file_not_csv",
        f"The file {path.name} cannot be read as CSV in UTF-8 from its first to its last line.",
        "Check that it was copied whole and saved as CSV in UTF-8.",
        file=path.name,
    )


def _all_text(path: Path, delimiter: str) -> dict[str, pa.DataType]:
    return {cell.strip().strip('"'): pa.string() for cell in _header(path).rstrip("\r\n").split(delimiter)}


def _line_numbers(rows: int, broken: list[int]) -> list[int]:
    skipped = set(broken)
    return [line for line in range(2, rows + len(broken) + 2) if line not in skipped]


def _check_complete(path: Path) -> None:
    """Refuse a file whose last line has no end: it was cut while being copied."""
    if path.suffix == ".gz":
        return  # gzip carries its own length and checksum
    with path.open("rb") as file:
        file.seek(-1, 2)
        if file.read(1) not in {b"\n", b"\r"}:
            raise BadInput(
                "partner_file_truncated",
                f"The last line of {path.name} has no end: the file seems cut.",
                "Copy it again; if it is whole, end its last line.",
                file=path.name,
            )


def _by_policy(written: pl.DataFrame, broken: list[int], policy: DatasetPolicy) -> PartnerRows:
    typed = [
        _typed(column).alias(column.name)
        for column in policy.source_columns
        if column.shelf != "none" or _is_source(column, policy)
    ]
    reasons = [_reason(column) for column in policy.source_columns if column.shelf != "none"]
    judged = written.with_columns(pl.coalesce(*reasons, pl.lit(None, pl.String)).alias(REASON))
    kept = judged.filter(pl.col(REASON).is_null()).select(LINE, *typed)
    aside = judged.filter(pl.col(REASON).is_not_null())
    cut = pl.DataFrame(
        {LINE: broken, REASON: ["cells"] * len(broken)}, schema={LINE: pl.Int64, REASON: pl.String}
    )
    return PartnerRows(
        kept, pl.concat([aside.select(LINE, REASON, pl.exclude(LINE, REASON)), cut], how="diagonal")
    )


def _is_source(column: PolicyColumn, policy: DatasetPolicy) -> bool:
    return any(other.transform is not None and other.transform.of == column.name for other in policy.columns)


def _cell(column: PolicyColumn) -> pl.Expr:
    """Give the cell without surrounding space, and nothing where it is empty."""
    text = pl.col(column.name).str.strip_chars()
    return pl.when(text == "").then(None).otherwise(text)


def _typed(column: PolicyColumn) -> pl.Expr:
    cell = _cell(column)
    if column.kind == "integer":
        return cell.str.replace(r"^(-?\d+)[.,]0+$", "$1").cast(pl.Int64, strict=False)
    if column.kind == "decimal":
        return _finite(cell.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False))
    if column.kind == "date":
        return pl.coalesce(
            cell.str.to_date("%Y-%m-%d", strict=False), cell.str.to_date("%d/%m/%Y", strict=False)
        )
    if column.kind == "boolean":
        word = cell.str.to_lowercase()
        return (
            pl.when(word.is_in(TRUE_WORDS))
            .then(True)
            .when(word.is_in(FALSE_WORDS))
            .then(False)
            .otherwise(None)
        )
    if column.kind == "category" and column.domain is not None:
        return pl.when(cell.is_in(column.domain)).then(cell).otherwise(None).cast(pl.Enum(column.domain))
    return cell


def _finite(number: pl.Expr) -> pl.Expr:
    return pl.when(number.is_finite()).then(number).otherwise(None)


def _reason(column: PolicyColumn) -> pl.Expr:
    """Give `kind:column` where a cell says something its declared kind cannot hold."""
    unread = _cell(column).is_not_null() & _typed(column).is_null()
    what = "domain" if column.kind == "category" else column.kind
    return pl.when(unread).then(pl.lit(f"{what}:{column.name}")).otherwise(None)
