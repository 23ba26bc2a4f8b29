import pytest

from audit.errors import LogDamaged, ProofWrong
from audit.proof import HEADER, Proof, check_proof, prove, read_proof
from audit.tiles import TileReader


@pytest.fixture
def proof(whole):
    return prove(TileReader(whole, 300), 259, (whole / "checkpoint").read_text())


def test_a_proof_reads_back_as_it_was_written(proof):
    assert read_proof(proof.text()) == proof


def test_a_proof_has_the_lines_of_the_specification(proof):
    lines = proof.text().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 259"
    assert lines[lines.index("") + 1] == "enclave.example/trail"


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_every_entry_has_a_proof_that_holds(whole, signer, index):
    text = prove(TileReader(whole, 300), index, (whole / "checkpoint").read_text()).text()
    proven = check_proof(text, signer.verifier)
    assert proven.index == index
    assert f'"seq":{index},'.encode() in proven.entry


def test_a_proof_without_the_entry_holds_for_the_entry_one_has(proof, signer):
    bare = Proof(proof.index, proof.path, proof.note).text()
    assert check_proof(bare, signer.verifier, proof.entry).entry == proof.entry
    with pytest.raises(ProofWrong, match="no entry"):
        check_proof(bare, signer.verifier)
    with pytest.raises(ProofWrong, match="does not lead"):
        check_proof(bare, signer.verifier, b"another")


def test_an_entry_that_was_changed_inside_the_proof_is_refused(proof, signer):
    forged = Proof(proof.index, proof.path, proof.note, proof.entry.replace(b"project-a", b"project-b"))
    with pytest.raises(ProofWrong, match="does not lead"):
        check_proof(forged.text(), signer.verifier)


def test_a_proof_at_another_index_is_refused(proof, signer):
    with pytest.raises(ProofWrong):
        check_proof(proof.text().replace("index 259", "index 258"), signer.verifier)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("index 259\n", ""),
        lambda text: text.replace("index 259", "index 0259"),
        lambda text: text.replace("index 259", "place 259"),
        lambda text: text.replace("index 259\n", "index 259\nAAAA\n"),
        lambda text: text.replace("index 259\n", "index 259\n!\n"),
        lambda text: text.replace("index 259\n", "index 259\n" + "A" * 43 + "=\n" + ("A" * 43 + "=\n") * 63),
        lambda text: HEADER + "\n\n" + text,
        lambda _text: "",
    ],
)
def test_a_malformed_proof_is_refused(proof, signer, change):
    with pytest.raises(ProofWrong):
        check_proof(change(proof.text()), signer.verifier)


def test_no_proof_is_made_from_missing_tiles(trail):
    (trail / "tile/0/000").unlink()
    with pytest.raises(LogDamaged, match="tile/0/000 is missing"):
        prove(TileReader(trail, 300), 3, "")
