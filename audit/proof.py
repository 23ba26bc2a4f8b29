"""Proofs of inclusion as files (C2SP tlog-proof): one entry, its path to the root, the signed checkpoint.

The entry itself travels as the file's `extra` data; it is believed only once its hash leads to the root.
"""

from dataclasses import dataclass
from typing import Final

from audit.checkpoint import DECIMAL, Checkpoint, Verifier, decode64, encode64, open_checkpoint
from audit.errors import ProofWrong
from audit.tiles import WIDTH_BITS, TileReader
from audit.tree import HASH_BYTES, check_inclusion, inclusion_path, leaf_hash

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PATH: Final = 63


@dataclass(frozen=True)
class Proof:
    """What a proof file says, before it is checked."""

    index: int
    path: tuple[bytes, ...]
    note: str
    entry: bytes | None = None

    def text(self) -> str:
        """Give the file's text."""
        extra = "" if self.entry is None else f"extra {encode64(self.entry)}\n"
        hashes = "".join(f"{encode64(each)}\n" for each in self.path)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n{self.note}"


@dataclass(frozen=True)
class Proven:
    """An entry that is in the log the checkpoint signs."""

    index: int
    entry: bytes
    checkpoint: Checkpoint


def prove(reader: TileReader, index: int, note: str, *, with_entry: bool = True) -> Proof:
    """Make the proof of one entry from the tiles; raises LogDamaged when tiles are missing.

    Of a pruned entry the hashes prove that it was there, to whoever has kept it.
    """
    entry = reader.bundle(index >> WIDTH_BITS)[index % (1 << WIDTH_BITS)] if with_entry else None
    return Proof(index, tuple(inclusion_path(index, reader.size, reader.node)), note, entry)


def read_proof(text: str) -> Proof:
    """Read a proof file; raises ProofWrong when it is malformed."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != HEADER:
        raise ProofWrong("bad_proof", f"the file is not a {HEADER} proof")
    entry = None
    if lines and lines[0].startswith("extra "):
        entry = decode64(lines.pop(0).removeprefix("extra "))
    word, _, index = (lines.pop(0) if lines else "").partition(" ")
    path = tuple(decode64(line) for line in lines)
    if word != "index" or not DECIMAL.fullmatch(index) or len(path) > MAX_PATH:
        raise ProofWrong("bad_proof", "the proof's index or path is malformed")
    if any(len(each) != HASH_BYTES for each in path):
        raise ProofWrong("bad_proof", "the proof's path is not of SHA-256 hashes")
    return Proof(int(index), path, note, entry)


def check_proof(text: str, verifier: Verifier, entry: bytes | None = None) -> Proven:
    """Check a proof file offline, for the entry given or the one that travels in it.

    Raises ProofWrong when signature or path do not hold, or when there is no entry to check.
    """
    proof = read_proof(text)
    checkpoint = open_checkpoint(proof.note, verifier)
    subject = proof.entry if entry is None else entry
    if subject is None:
        raise ProofWrong("no_entry", "the proof carries no entry and none was given")
    check_inclusion(proof.index, checkpoint.size, leaf_hash(subject), proof.path, checkpoint.root)
    return Proven(proof.index, subject, checkpoint)
