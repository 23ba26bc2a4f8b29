"""The witness: it cosigns what continues what it has seen, and nothing else."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.testclient import TestClient

from audit.checkpoint import Checkpoint, Signer, encode64, open_checkpoint, read_note, read_vkey
from audit.cosignature import COSIGNATURE, cosign, cosigned_at, witness_key
from audit.errors import LogUnavailable, ProofWrong
from audit.tree import Frontier, consistency_path, leaf_hash, perfect_root
from audit.witness import MAX_REQUEST_BYTES, Witness, create_app

NOW = 1_790_000_000
LEAVES = [leaf_hash(f"entry {n}".encode()) for n in range(64)]
OTHERS = [leaf_hash(f"other {n}".encode()) for n in range(64)]


def node(leaves):
    return lambda height, index: perfect_root(leaves[index << height : (index + 1) << height])


def note_of(signer, size, leaves=LEAVES):
    return signer.sign(Checkpoint(signer.name, size, Frontier().extended(leaves[:size]).root()))


def request(signer, old, new, leaves=LEAVES, path=None):
    hashes = consistency_path(old, new, node(leaves)) if path is None else path
    proof = "".join(f"{encode64(each)}\n" for each in hashes)
    return f"old {old}\n{proof}\n{note_of(signer, new, leaves)}".encode()


@pytest.fixture
def own():
    return Signer("witness.example/one", Ed25519PrivateKey.generate())


@pytest.fixture
def witness(tmp_path, signer, own):
    opened = Witness(tmp_path / "seen", own, [signer.verifier], lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def ask(witness):
    client = TestClient(create_app(witness))
    return lambda body: client.post("/add-checkpoint", content=body)


def test_it_cosigns_a_first_checkpoint_and_each_that_continues_it(ask, signer, witness):
    for old, new in [(0, 5), (5, 5), (5, 33), (33, 64)]:
        told = ask(request(signer, old, new))
        assert told.status_code == 200
        assert cosigned_at(note_of(signer, new) + told.text, witness.key) == NOW
    seen = witness.seen_file(signer.name).read_text()
    assert open_checkpoint(seen, signer.verifier).size == 64


def test_its_public_key_lies_in_its_folder(witness):
    assert read_vkey((witness.directory / "vkey").read_text(), COSIGNATURE) == witness.key


@pytest.mark.parametrize("old", [0, 3, 6])
def test_another_old_size_is_answered_with_its_own(old, ask, signer):
    ask(request(signer, 0, 5))
    told = ask(request(signer, old, 9))
    assert (told.status_code, told.text) == (409, "5\n")
    assert told.headers["content-type"] == "text/x.tlog.size"


def test_a_fork_of_the_same_size_and_a_longer_one_get_nothing(ask, signer, witness):
    ask(request(signer, 0, 5))
    assert ask(request(signer, 5, 5, OTHERS)).status_code == 409
    assert ask(request(signer, 5, 9, OTHERS)).status_code == 422
    assert ask(request(signer, 5, 9, path=[])).status_code == 422
    assert open_checkpoint(witness.seen_file(signer.name).read_text(), signer.verifier).size == 5


def test_a_smaller_checkpoint_is_refused(ask, signer):
    ask(request(signer, 0, 9))
    assert ask(f"old 9\n\n{note_of(signer, 5)}".encode()).status_code == 400


def test_a_log_it_does_not_know_and_a_key_it_does_not_know_get_nothing(ask, signer):
    other = Signer("other.example/log", Ed25519PrivateKey.generate())
    assert ask(request(other, 0, 5)).status_code == 404
    forger = Signer(signer.name, Ed25519PrivateKey.generate())
    assert ask(request(forger, 0, 5)).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old\n\nnote",
        b"old 05\n\nnote",
        b"new 5\n\nnote",
        b"old 0\nnot base64\n\nnote",
        b"old 0\nQUJD\n\nnote",
        b"old 0\n\xff\n\nnote",
        b"old 0\nnote",
        b"old 0\n" + b"".join(encode64(bytes(32)).encode() + b"\n" for _ in range(64)) + b"\nnote",
    ],
)
def test_a_malformed_request_is_refused(body, ask):
    assert ask(body).status_code == 400


def test_more_than_a_request_may_have_is_not_read(ask):
    assert ask(b"x" * (MAX_REQUEST_BYTES + 1)).status_code == 413


def test_what_it_cannot_keep_it_does_not_cosign(ask, signer, witness):
    ask(request(signer, 0, 5))
    (witness.directory / "scratch").rmdir()
    told = ask(request(signer, 5, 9))
    assert told.status_code == 503
    (witness.directory / "scratch").mkdir()
    assert ask(request(signer, 0, 9)).text == "5\n"


def test_a_damaged_memory_is_no_fresh_start(ask, signer, witness):
    ask(request(signer, 0, 5))
    witness.seen_file(signer.name).write_text("garbage")
    assert ask(request(signer, 0, 9)).status_code == 503


def test_it_remembers_over_a_restart_and_has_one_process(tmp_path, signer, own):
    first = Witness(tmp_path / "seen", own, [signer.verifier])
    first.add(request(signer, 0, 5))
    with pytest.raises(LogUnavailable, match="another witness"):
        Witness(tmp_path / "seen", own, [signer.verifier])
    first.close()
    again = Witness(tmp_path / "seen", own, [signer.verifier])
    assert TestClient(create_app(again)).post("/add-checkpoint", content=request(signer, 0, 9)).text == "5\n"
    again.close()


def test_of_many_who_ask_at_once_one_moves_it_on(ask, signer, witness):
    ask(request(signer, 0, 5))
    start = threading.Barrier(8)

    def one(new):
        start.wait()
        return ask(request(signer, 5, new)).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(10, 18)))
    assert sorted(answers) == [200, *[409] * 7]


def test_a_cosignature_is_bound_to_body_time_and_key(signer, own):
    note = note_of(signer, 5)
    body = read_note(note).body
    assert cosigned_at(note, witness_key(own)) is None
    signed = note + cosign(own, body, NOW)
    assert cosigned_at(signed, witness_key(own)) == NOW
    with pytest.raises(ProofWrong):
        cosigned_at(note_of(signer, 6) + cosign(own, body, NOW), witness_key(own))


def line(own, raw):
    return f"\u2014 {own.name} {encode64(witness_key(own).key_id + raw)}\n"


@pytest.mark.parametrize("raw", [bytes(10), b"\xff" * 72, bytes(72)])
def test_a_malformed_cosignature_is_refused(raw, signer, own):
    with pytest.raises(ProofWrong):
        cosigned_at(note_of(signer, 5) + line(own, raw), witness_key(own))
