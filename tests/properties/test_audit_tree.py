"""The tree, the tiles and the proofs against the recursion that RFC 6962 writes down."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from audit.errors import ProofWrong
from audit.tiles import Edge, TileReader, clear_scratch, drop_partials, tile_path, write_files
from audit.tree import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_path,
    inclusion_path,
    leaf_hash,
    perfect_root,
)

AROUND = sorted({n for p in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) for n in (p - 1, p, p + 1)} | {300, 600})
SIZES = st.integers(0, 600) | st.sampled_from(AROUND)
ENTRIES = [f"entry {n}".encode() for n in range(600)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]

modest = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mth(leaves):
    """RFC 6962 section 2.1, as written."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m, leaves):
    """RFC 6962 section 2.1.1, as written."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m, leaves, *, whole=True):
    """RFC 6962 section 2.1.2, as written."""
    n = len(leaves)
    if m == n:
        return [] if whole else [mth(leaves)]
    k = split(n)
    if m <= k:
        return [*proof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*proof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def node(height, index):
    return perfect_root(LEAVES[index << height : (index + 1) << height])


@pytest.mark.parametrize("size", AROUND)
def test_root_is_the_recursion_around_powers_of_two_and_of_256(size):
    assert Frontier().extended(LEAVES[:size]).root() == mth(LEAVES[:size])


def test_every_root_up_to_a_thousand_is_what_pymerkle_gives():
    oracle, frontier = InmemoryTree(algorithm="sha256"), Frontier()
    assert frontier.root() == oracle.get_root()
    for size in range(1, 1001):
        entry = f"entry {size - 1}".encode()
        oracle.append_entry(entry)
        frontier.append(leaf_hash(entry))
        assert frontier.root() == oracle.get_root(), size


@modest
@given(SIZES)
def test_root_is_the_recursion(size):
    assert Frontier().extended(LEAVES[:size]).root() == mth(LEAVES[:size])


@modest
@given(st.integers(0, 600), st.integers(0, 600))
def test_extending_leaves_the_frontier_before_as_it_was(one, two):
    old, new = sorted((one, two))
    frontier = Frontier().extended(LEAVES[:old])
    grown = frontier.extended(LEAVES[old:new])
    assert (frontier.root(), grown.root()) == (mth(LEAVES[:old]), mth(LEAVES[:new]))


@modest
@given(st.integers(0, 2), st.integers(0, 255))
def test_perfect_subtrees_append_like_their_leaves(tiles, rest):
    frontier = Frontier()
    for each in range(tiles):
        frontier.append_perfect(node(8, each), 8)
    size = min(256 * tiles + rest, 600)
    assert frontier.extended(LEAVES[256 * tiles : size]).root() == mth(LEAVES[:size])


@modest
@given(SIZES.filter(bool), st.data())
def test_inclusion_path_is_the_recursion_and_verifies(size, data):
    index = data.draw(st.integers(0, size - 1))
    found = inclusion_path(index, size, node)
    assert found == path(index, LEAVES[:size])
    check_inclusion(index, size, LEAVES[index], found, mth(LEAVES[:size]))


@modest
@given(SIZES.filter(bool), st.data())
def test_a_bent_inclusion_proof_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    found, root = inclusion_path(index, size, node), mth(LEAVES[:size])
    wrong = data.draw(st.sampled_from(["leaf", "index", "longer", "shorter", "hash", "root"]))
    leaf = LEAVES[index]
    if wrong == "leaf":
        leaf = bytes(32)
    elif wrong == "index":
        index = data.draw(st.integers(-1, size).filter(lambda other: other != index))
    elif wrong == "longer":
        found = [*found, bytes(32)]
    elif wrong == "root":
        root = bytes(32)
    elif not found:
        return
    elif wrong == "shorter":
        found = found[:-1]
    else:
        found[data.draw(st.integers(0, len(found) - 1))] = bytes(32)
    with pytest.raises(ProofWrong):
        check_inclusion(index, size, leaf, found, root)


@modest
@given(SIZES, SIZES)
def test_consistency_path_is_the_recursion_and_verifies(one, two):
    old, new = sorted((one, two))
    found = consistency_path(old, new, node)
    assert found == (proof(old, LEAVES[:new]) if old > 0 else [])
    check_consistency(old, new, mth(LEAVES[:old]), mth(LEAVES[:new]), found)


@modest
@given(SIZES, SIZES, st.data())
def test_a_bent_consistency_proof_is_refused(one, two, data):
    old, new = sorted((one, two))
    found = consistency_path(old, new, node)
    roots = [mth(LEAVES[:old]), mth(LEAVES[:new])]
    wrong = data.draw(st.sampled_from(["old root", "new root", "longer", "shorter", "hash"]))
    if wrong == "old root":
        roots[0] = bytes(32)
    elif wrong == "new root" and old:  # an empty log is continued by any
        roots[1] = bytes(32)
    elif wrong == "longer" or not found:
        found = [*found, bytes(32)]
    elif wrong == "shorter":
        found = found[:-1]
    else:
        found[data.draw(st.integers(0, len(found) - 1))] = bytes(32)
    with pytest.raises(ProofWrong):
        check_consistency(old, new, *roots, found)


def test_the_empty_proof_of_a_longer_log_is_refused():
    """The old root is no power of two's, so at least one hash is needed."""
    with pytest.raises(ProofWrong):
        check_consistency(3, 5, mth(LEAVES[:3]), mth(LEAVES[:5]), [])


def test_a_path_that_goes_on_above_the_root_is_refused():
    root = mth(LEAVES[:1])
    with pytest.raises(ProofWrong):
        check_inclusion(0, 1, LEAVES[0], [bytes(32)], root)
    with pytest.raises(ProofWrong):
        check_consistency(3, 4, mth(LEAVES[:3]), mth(LEAVES[:4]), [*consistency_path(3, 4, node), bytes(32)])


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (999, 1, "tile/0/999.p/1"),
        (1000, 256, "tile/0/x001/000"),
        (1234067, 256, "tile/0/x001/x234/067"),
    ],
)
def test_tile_paths_are_those_of_the_specification(index, width, path):
    assert tile_path(0, index, width) == path


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_a_log_that_shrank_is_refused(old, new):
    with pytest.raises(ProofWrong, match="cannot continue"):
        check_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, [])


@settings(modest, max_examples=15)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=4))
def test_tiles_written_in_any_steps_give_every_hash_and_entry(tmp_path_factory, steps):
    folder: Path = tmp_path_factory.mktemp("tiles")
    clear_scratch(folder)
    edge = Edge()
    for step in steps:
        end = min(edge.size + step, 600)
        growth = edge.grow(zip(ENTRIES[edge.size : end], LEAVES[edge.size : end], strict=True))
        write_files(folder, growth.files)
        drop_partials(folder, growth.filled)
        edge = growth.edge
    reader = TileReader(folder, edge.size)
    for index in (0, edge.size // 2, edge.size - 1):
        found = inclusion_path(index, edge.size, reader.node)
        check_inclusion(index, edge.size, LEAVES[index], found, mth(LEAVES[: edge.size]))
        assert reader.bundle(index >> 8)[index % 256] == ENTRIES[index]


def test_tiles_of_the_specification_example_have_its_widths(tmp_path):
    """tlog-tiles: a tree of 70,000 has 273 full tiles and one of 112, one full and one of 17 above, one of 1."""
    clear_scratch(tmp_path)
    growth = Edge().grow((b"", LEAVES[n % 600]) for n in range(70_000))
    hashes = [path for path in growth.files if not path.startswith("tile/entries/")]
    partial = sorted(path for path in hashes if ".p/" in path)
    assert partial == ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert len(hashes) == 273 + 1 + 3


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_no_proof_is_of_an_entry_outside_its_tree(index: int) -> None:
    with pytest.raises(ProofWrong) as refused:
        check_inclusion(index, 5, LEAVES[0], [], LEAVES[0])
    assert refused.value.code == "index_outside"
