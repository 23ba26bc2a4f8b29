"""The Merkle tree of RFC 6962 section 2.1 (SHA-256): roots, proofs, and how to check them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from audit.errors import ProofWrong

LEAF_PREFIX: Final = b"\x00"  # RFC 6962 section 2.1: a leaf can never be taken for a node
NODE_PREFIX: Final = b"\x01"
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

NodeReader = Callable[[int, int], bytes]
"""(height, index) -> hash of the perfect subtree over leaves index*2**height .. (index+1)*2**height."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent."""
    return sha256(NODE_PREFIX + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Give the root over 2**k hashes, level by level (the fast path of verification)."""
    row = list(hashes)
    while len(row) > 1:
        row = [sha256(NODE_PREFIX + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
    return row[0]


@dataclass
class Frontier:
    """The right edge of a growing tree: enough to append and to give the root, log2(size) hashes."""

    size: int = 0
    stack: list[bytes] = field(default_factory=list)

    def append(self, hashed: bytes) -> None:
        """Add one leaf hash."""
        full = self.size
        while full & 1:
            hashed = node_hash(self.stack.pop(), hashed)
            full >>= 1
        self.stack.append(hashed)
        self.size += 1

    def append_perfect(self, hashed: bytes, height: int) -> None:
        """Add a perfect subtree of 2**height leaves; the size so far must be a multiple of that."""
        full = self.size >> height
        while full & 1:
            hashed = node_hash(self.stack.pop(), hashed)
            full >>= 1
        self.stack.append(hashed)
        self.size += 1 << height

    def extended(self, hashes: Iterable[bytes]) -> "Frontier":
        """Give a new frontier with these leaf hashes added; this one stays as it is."""
        grown = Frontier(self.size, list(self.stack))
        for each in hashes:
            grown.append(each)
        return grown

    def root(self) -> bytes:
        """Give the tree's root hash."""
        if not self.stack:
            return EMPTY_ROOT
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root


def _split(count: int) -> int:
    """Give the largest power of two below count (RFC 6962: k < n <= 2k)."""
    return 1 << ((count - 1).bit_length() - 1)


def subtree_root(start: int, end: int, node: NodeReader) -> bytes:
    """Give MTH(D[start:end]) for a range that the RFC's recursion reaches."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return node(height, start >> height)
    half = _split(count)
    return node_hash(subtree_root(start, start + half, node), subtree_root(start + half, end, node))


def inclusion_path(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Give the audit path PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling upwards."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Give PROOF(old, D[new]) of RFC 6962 section 2.1.2; empty when old is 0 or equals new."""
    path: list[bytes] = []
    if old in {0, new}:
        return path
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(start, end, node))
    return path[::-1]


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash stands at index in the tree of that size and root (RFC 9162 section 2.1.3.2).

    Raises ProofWrong when it does not.
    """
    if not 0 <= index < size:
        raise ProofWrong("index_outside", f"index {index} is not in a tree of {size} entries")
    sides = _left_siblings(index, size - 1, len(path))
    running = leaf
    for left, sibling in zip(sides or (), path, strict=False):
        running = node_hash(sibling, running) if left else node_hash(running, sibling)
    if sides is None or running != root:
        raise ProofWrong(
            "inclusion_wrong", "the inclusion proof does not lead to the root: the entry is not in this log"
        )


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree of size new continues the tree of size old (RFC 9162 section 2.1.4.2).

    Raises ProofWrong when it does not.
    """
    if not 0 <= old <= new:
        raise ProofWrong("log_shrank", f"a log of {new} entries cannot continue one of {old}")
    if old in {0, new}:
        held = not path and old_root == (new_root if old == new else EMPTY_ROOT)
    else:
        steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
        held = bool(steps) and _folds(old, new, steps) == (old_root, new_root)
    if not held:
        raise ProofWrong(
            "consistency_wrong",
            "the newer log does not continue the older one: entries were changed or removed",
        )


def _folds(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Fold a consistency proof into the two roots it speaks of."""
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    sides = _left_siblings(position, last, len(steps) - 1)
    if sides is None:
        return None
    old_side = new_side = steps[0]
    for left, each in zip(sides, steps[1:], strict=True):
        if left:
            old_side, new_side = node_hash(each, old_side), node_hash(each, new_side)
        else:
            new_side = node_hash(new_side, each)
    return old_side, new_side


def _left_siblings(position: int, last: int, count: int) -> list[bool] | None:
    """Say of each step of a path whether the sibling stands on the left; None when the length is wrong."""
    sides: list[bool] = []
    for _ in range(count):
        if last == 0:
            return None
        left = bool(position & 1) or position == last
        while left and position and not position & 1:
            position >>= 1
            last >>= 1
        position >>= 1
        last >>= 1
        sides.append(left)
    return None if last else sides
