"""Which refusals the packages can make: read from their source, so that none is without its sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What a person may read, on a page, in a notebook or at the command line. The demonstration speaks to its own tests; the trail's
# tool stands alone and speaks the English of its `raise`, also to auditors who have no enclave.
SPOKEN = ("enclave", "anonymisation", "vault")
SILENT = (
    "enclave/demo",
    # said to whoever writes code against the vault, never to a person
    "vault/version.py",
    "vault/side_by_side.py",
)
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|unforeseen")
# What is called with a code first: the error classes, and the small helpers that raise one.
MAKERS = re.compile(r"refuse|_refused?|_damaged|_down|_spent|[A-Z]\w*|_all_different")


def refusals() -> dict[str, tuple[str, set[str]]]:
    """Give each code with an English sentence it was seen with and the parameters given."""
    found: dict[str, tuple[str, set[str]]] = {}
    for path in _files():
        for code, sentence, params in _in(ast.parse(path.read_text(encoding="utf-8"))):
            known = found.get(code)
            found[code] = (sentence, params if known is None else known[1] & params)
    return found


def _files() -> Iterator[Path]:
    for place in SPOKEN:
        path = ROOT / place
        yield from (file for file in sorted(path.rglob("*.py")) if not _silent(file))


def _silent(path: Path) -> bool:
    return path.relative_to(ROOT).as_posix().startswith(SILENT)


def _in(tree: ast.AST) -> Iterator[tuple[str, str, set[str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) > 1 and MAKERS.fullmatch(_called(node)):
            code, told = node.args[:2]
            if _is_code(code) and _is_sentence(told):
                yield code.value, ast.unparse(told), {word.arg for word in node.keywords if word.arg}


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _is_code(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(CODE.fullmatch(node.value))


def _is_sentence(node: ast.expr) -> bool:
    text = ast.unparse(node)
    return isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.Name | ast.Call) and (
        " " in text or isinstance(node, ast.Name)
    )
