import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audit.checkpoint import (
    MAX_SIGNATURES,
    Checkpoint,
    Signer,
    Verifier,
    create_key,
    encode64,
    load_signer,
    open_checkpoint,
    read_vkey,
)
from audit.errors import BadInput, ProofWrong

# golang.org/x/mod/sumdb/note, documentation example: key and note made by the reference implementation
PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_vkey_of_the_reference_implementation_reads_back_as_it_was():
    assert read_vkey(PETER_VKEY + "\n").vkey() == PETER_VKEY


def test_a_note_of_the_reference_implementation_carries_a_signature_that_holds():
    """The text is no checkpoint; that it is refused only for this shows that its signature was accepted."""
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(note, read_vkey(PETER_VKEY))
    assert refused.value.code == "bad_checkpoint"
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(note.replace("don't", "do not"), read_vkey(PETER_VKEY))
    assert refused.value.code == "signature_wrong"


@pytest.fixture
def note(signer):
    return signer.sign(Checkpoint(signer.name, 3, bytes(32)))


def test_what_is_signed_opens_with_the_key(signer, note):
    assert open_checkpoint(note, signer.verifier) == Checkpoint(signer.name, 3, bytes(32))


def test_signatures_of_witnesses_beside_the_logs_are_let_pass(signer, note):
    other = Signer("witness.example", Ed25519PrivateKey.generate())
    line = other.sign(Checkpoint(signer.name, 3, bytes(32))).splitlines()[-1]
    assert open_checkpoint(f"{note}{line}\n", signer.verifier).size == 3


def test_a_key_of_the_same_name_is_another_key(signer, note):
    other = Signer(signer.name, Ed25519PrivateKey.generate())
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(note, other.verifier)
    assert refused.value.code == "other_key"


def test_a_checkpoint_of_another_origin_is_refused(signer):
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(signer.sign(Checkpoint("other.example", 3, bytes(32))), signer.verifier)
    assert refused.value.code == "other_origin"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda n: n.replace("\n3\n", "\n4\n"), "signature_wrong"),
        (lambda n: n[:-1], "bad_note"),
        (lambda n: n.replace("\n\n", "\n"), "bad_note"),
        (lambda n: n.replace("\n3\n", "\n3\t\n"), "bad_note"),
        (lambda n: n.split("\n\n", maxsplit=1)[0] + "\n\n\n", "bad_note"),
        (lambda n: n + n.splitlines()[-1] + "x" * 70_000 + "\n", "bad_note"),
        (lambda n: n + (n.splitlines()[-1] + "\n") * MAX_SIGNATURES, "bad_note"),
        (lambda n: n.replace("\u2014", "-"), "bad_note"),
        (lambda n: n.replace("\u2014 ", "\u2014  "), "bad_note"),
        (lambda n: n[:-2] + "!\n", "not_base64"),
    ],
)
def test_a_malformed_or_changed_note_is_refused(signer, note, change, code):
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(change(note), signer.verifier)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{origin}\n03\n{root}\n", "bad_checkpoint"),
        ("{origin}\n-3\n{root}\n", "bad_checkpoint"),
        ("{origin}\n3\n", "bad_checkpoint"),
        ("{origin}\n3\nAAAA\n", "bad_checkpoint"),
        ("{origin}\n3\nAA=A\n", "not_base64"),
        ("{origin}\n3\nAB==\n", "not_base64"),
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(signer, body, code):
    text = body.format(origin=signer.name, root=encode64(bytes(32)))
    line = encode64(signer.verifier.key_id + signer.key.sign(text.encode()))
    with pytest.raises(ProofWrong) as refused:
        open_checkpoint(f"{text}\n\u2014 {signer.name} {line}\n", signer.verifier)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000",
        "na me+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+zz+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AQ==",
        "PeterNeumann+c74f20a3+A",
    ],
)
def test_a_malformed_vkey_is_refused(text):
    with pytest.raises(BadInput, match="not of the form"):
        read_vkey(text)


def test_a_made_key_is_private_encrypted_and_opens(tmp_path):
    path = tmp_path / "key.pem"
    create_key(path, b"long random words")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    signer = load_signer(path, b"long random words", "enclave.example/trail")
    assert signer.verifier == Verifier("enclave.example/trail", signer.key.public_key().public_bytes_raw())


def test_a_key_is_never_written_over(tmp_path):
    create_key(tmp_path / "key.pem", b"one")
    with pytest.raises(BadInput) as refused:
        create_key(tmp_path / "key.pem", b"two")
    assert refused.value.code == "key_exists"
    load_signer(tmp_path / "key.pem", b"one", "x")


def test_a_key_that_does_not_open_says_why(tmp_path):
    path = tmp_path / "key.pem"
    with pytest.raises(BadInput, match="passphrase is empty"):
        create_key(path, b"")
    with pytest.raises(BadInput, match="no key"):
        load_signer(path, b"one", "x")
    create_key(path, b"one")
    with pytest.raises(BadInput, match="does not open"):
        load_signer(path, b"two", "x")
    with pytest.raises(BadInput, match="white space"):
        load_signer(path, b"one", "a name")
    pem = X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"one"),
    )
    path.write_bytes(pem)
    with pytest.raises(BadInput, match="not an Ed25519 key"):
        load_signer(path, b"one", "x")
