"""Check files that ask to leave. Never raises on their account: what cannot be read does not pass."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from anonymisation.disclosure import (
    hidden_text,
    json_text,
    parquet,
    personal,
    png,
    row_dump,
    small_counts,
    tables,
)
from anonymisation.disclosure.content import NOWHERE, Content, take, take_lines
from anonymisation.disclosure.hidden_text import Hit
from anonymisation.disclosure.policy import CHECKS, DisclosurePolicy
from anonymisation.disclosure.report import ORDER, FileReport, Finding, Report
from anonymisation.disclosure.rules import RULES

# What to do instead, by the extension of what may not leave.
REFUSED: Final = {
    **dict.fromkeys(("xlsx", "xls", "xlsm", "xlsb", "ods"), "spreadsheet"),
    **dict.fromkeys(("pkl", "pickle", "joblib", "pt", "pth", "h5", "rds", "rda", "rdata", "npy", "npz", "onnx", "dill"), "executable_model"),
    **dict.fromkeys(("svg", "html", "htm", "xhtml", "xml", "js"), "active_page"),
    **dict.fromkeys(("ipynb", "py", "r", "rmd", "qmd"), "notebook"),
    **dict.fromkeys(("zip", "gz", "tgz", "tar", "bz2", "xz", "7z", "rar", "zst"), "archive"),
    **dict.fromkeys(("pdf", "docx", "doc", "odt", "pptx", "rtf"), "document"),
}  # fmt: skip
ADMITTED: Final = frozenset({"csv", "parquet", "png", "md", "txt", "json"})
TEXTS: Final = frozenset({"csv", "md", "txt", "json"})
_PLAIN_NAME = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ0-9_][A-Za-zÀ-ÖØ-öø-ÿ0-9_ .()-]{0,99}")
MOST_FINDINGS: Final = 50


def check_files(files: Mapping[str, bytes], policy: DisclosurePolicy) -> Report:
    """Check each file by name and content; the report names rules and places, never a value of a file."""
    names = Counter(unicodedata.normalize("NFKC", name).casefold() for name in files)
    twice = {name for name in files if names[unicodedata.normalize("NFKC", name).casefold()] > 1}
    crowded = len(files) > policy.files
    return Report(
        policy,
        tuple(
            _check(name, data, policy, twice=name in twice, crowded=crowded) for name, data in files.items()
        ),
    )


def _check(name: str, data: bytes, policy: DisclosurePolicy, *, twice: bool, crowded: bool) -> FileReport:
    hits: list[Hit] = [("name_twice", NOWHERE)] if twice else []
    if crowded:
        hits.append(("too_many_files", NOWHERE))
    elif early := _refusal(name, data, policy):
        hits.append((early, NOWHERE))
    read = not hits
    if read:
        hits.extend(_looked_into(name, data, policy))
    findings = [RULES[code].at(where, policy) for code, where in dict.fromkeys(hits)]
    findings.sort(key=lambda finding: -ORDER[finding.verdict])  # what is cut off is never the worst
    return FileReport(
        name, hashlib.sha256(data).hexdigest(), tuple(_complete(findings[:MOST_FINDINGS], policy))
    )


def _refusal(name: str, data: bytes, policy: DisclosurePolicy) -> str | None:
    """Say why a file is not even read, cheapest reason first."""
    if len(data) > policy.file_bytes:
        return "file_too_large"
    kind = _kind(name)
    if kind not in ADMITTED:
        return REFUSED.get(kind, "type_not_admitted")
    if kind in TEXTS and len(data) > policy.text_bytes:
        return "text_too_large"
    if not _PLAIN_NAME.fullmatch(unicodedata.normalize("NFC", name)):
        return "name_not_plain"
    return None if data else "file_empty"


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix.removeprefix(".").lower()


def _looked_into(name: str, data: bytes, policy: DisclosurePolicy) -> Iterator[Hit]:
    """Read a file and check what it holds; whatever a reader raises on hostile bytes is a finding."""
    content = Content()
    try:
        yield from _READERS[_kind(name)](data, policy, content)
        yield from personal.hits(name, content)
        yield from small_counts.hits(content, policy)
        yield from row_dump.hits(content, policy)
    except (Exception, RecursionError, MemoryError):  # noqa: BLE001 - the door of all hostile bytes: fail closed
        yield "unreadable", NOWHERE


def _complete(findings: list[Finding], policy: DisclosurePolicy) -> Iterator[Finding]:
    """Say of each check what it found, or that it found nothing, or that it could not look."""
    codes = {finding.code for finding in findings}
    yield from findings
    for check in CHECKS:
        if not any(finding.check == check for finding in findings):
            yield replace(RULES[_silence(check, codes)].at(NOWHERE, policy), check=check)


def _silence(check: str, codes: set[str]) -> str:
    """Give the rule for a check without a finding. Unread is not free of identifiers: no exception is possible."""
    if codes & _BLINDING:
        return "identifiers_not_reached" if check == "identifiers" else "not_reached"
    return "not_reached" if "figure" in codes else _CLEAR[check]


_CLEAR: Final = {
    "file_type_and_hidden_content": "clear_hidden",
    "identifiers": "clear_identifiers",
    "small_counts": "clear_counts",
    "row_dump": "clear_rows",
}
# After one of these nothing of the content was looked at.
_BLINDING: Final = frozenset(
    {"too_many_files", "file_too_large", "text_too_large", "file_empty", "name_not_plain", "name_twice", "type_not_admitted", "content_not_as_named", "not_utf8",
     "table_unreadable", "too_wide", "json_unreadable", "json_too_deep", "json_key_twice", "png_damaged", "parquet_unreadable", "unreadable",
     *REFUSED.values()}
)  # fmt: skip


def _text(data: bytes, policy: DisclosurePolicy, found: list[Hit]) -> str | None:
    """Give the text of a text file and note what hides in it; None where it is no text."""
    if hidden_text.looks_like_another_type(data):
        found.append(("content_not_as_named", NOWHERE))
        return None
    text = hidden_text.decode(data)
    if text is None:
        found.append(("not_utf8", NOWHERE))
        return None
    found.extend(hidden_text.hits(text, policy))
    return text


def _csv(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    hidden: list[Hit] = []
    text = _text(data, policy, hidden)
    yield from hidden
    if text is None:
        return
    try:
        found = tables.separated(text)
    except tables.Unreadable:
        take_lines(text.split("\n"), content)
        yield "table_unreadable", NOWHERE
        return
    if any(table.width > policy.columns for table in found):
        yield "too_wide", NOWHERE
        return
    for table in found:
        if tables.is_ragged(table):
            yield "table_ragged", NOWHERE
        yield from hidden_text.formula_hits(text, table)
        take(table, content)


def _prose(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    found: list[Hit] = []
    text = _text(data, policy, found)
    yield from found
    if text is None:
        return
    lines = text.split("\n")
    take_lines(lines, content)
    content.text_lines = sum(1 for line in lines if line.strip())
    content.tables.extend(tables.in_prose(text))


def _markdown(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    yield from _prose(data, policy, content)
    if content.segments:
        yield from hidden_text.markdown_hits(content.joined)


def _json(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    found: list[Hit] = []
    text = _text(data, policy, found)
    yield from found
    if text is None:
        return
    try:
        json_text.read_into(json_text.parse(text, policy.json_depth), content)
    except json_text.TooDeep:
        yield "json_too_deep", NOWHERE
    except json_text.KeyTwice:
        yield "json_key_twice", NOWHERE
    except ValueError:
        yield "json_unreadable", NOWHERE
    # Escapes such as \u200b are characters only now.
    yield from hidden_text.hits(content.joined, policy)


def _png(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    del content  # a picture has no text that could be read
    if data.startswith(png.SIGNATURE):
        yield from png.hits(data, policy)
    else:
        yield "content_not_as_named", NOWHERE


def _parquet(data: bytes, policy: DisclosurePolicy, content: Content) -> Iterator[Hit]:
    if not data.startswith(parquet.MAGIC):
        yield "content_not_as_named", NOWHERE
        return
    yield from parquet.hits(data, policy, content)
    yield from hidden_text.hits(content.joined, policy)


_READERS: Final = {
    "csv": _csv,
    "txt": _prose,
    "md": _markdown,
    "json": _json,
    "png": _png,
    "parquet": _parquet,
}
