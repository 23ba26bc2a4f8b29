"""The second signature: a statement over the same checkpoint, by a key no note of Ed25519 knows."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from typer.testing import CliRunner

from audit import second_signature
from audit.__main__ import app
from audit.checkpoint import (
    ML_DSA_44,
    create_key,
    decode64,
    encode64,
    open_checkpoint,
    read_checkpoint,
    read_vkey,
)
from audit.confirmations import Trusted
from audit.cosignature import cosigned_at, witness_key
from audit.errors import BadInput, LogDamaged, ProofWrong
from audit.log import Log
from audit.second_signature import VKEY, SecondSigner, check_second, open_second, second_key_file
from audit.verify import verify

NOW = 1_790_000_000


@pytest.fixture(scope="session")
def second(signer):
    return SecondSigner(signer.name, MLDSA44PrivateKey.generate())


@pytest.fixture
def twice(tmp_path, signer, second, make):
    """A closed trail whose checkpoint is signed twice."""
    log = Log(tmp_path / "twice", signer, second=second)
    log.record(make())
    log.close()
    return tmp_path / "twice"


def refused(code, act, *args, kind=ProofWrong):
    with pytest.raises(kind) as caught:
        act(*args)
    assert caught.value.code == code


def test_a_checkpoint_that_is_published_carries_both_signatures(twice, signer, second):
    note = (twice / "checkpoint").read_text()
    assert open_checkpoint(note, signer.verifier).size == 1
    assert check_second(note, second.verifier) > NOW
    assert (twice / VKEY).read_text() == f"{second.verifier.vkey()}\n"


def test_what_is_signed_is_the_message_of_the_specification(signer, second):
    """tlog-cosignature: label, signer's name, time, origin, start 0, size, root; the id is of name, 0x06 and key."""
    note = signer.sign(
        read_checkpoint(f"{signer.name}\n7\n{encode64(b'r' * 32)}\n\n\u2014 a {encode64(b'12345')}\n")
    )
    line = second.line(read_checkpoint(note), NOW)
    raw = decode64(line.split(" ")[2].strip())
    name = signer.name.encode()
    assert raw[:4] == hashlib.sha256(name + b"\n\x06" + second.verifier.public).digest()[:4]
    assert raw[4:12] == NOW.to_bytes(8, "big")
    named = bytes([len(name)]) + name
    message = b"subtree/v1\n\0" + named + raw[4:12] + named + bytes(8) + (7).to_bytes(8, "big") + b"r" * 32
    second.key.public_key().verify(raw[12:], message)


def test_the_key_travels_as_text(second):
    assert read_vkey(second.verifier.vkey(), ML_DSA_44) == second.verifier
    refused("bad_vkey", read_vkey, second.verifier.vkey(), kind=BadInput)


def test_a_signature_that_does_not_hold_is_refused(twice, signer, second):
    note = (twice / "checkpoint").read_text()
    first, line = note[: note.rindex("\u2014")], note[note.rindex("\u2014") :]
    raw = decode64(line.split(" ")[2].strip())

    def with_line(changed):
        return f"{first}\u2014 {signer.name} {encode64(changed)}\n"

    refused(
        "second_signature_wrong", check_second, with_line(raw[:-1] + bytes([raw[-1] ^ 1])), second.verifier
    )
    refused("second_signature_wrong", check_second, with_line(raw[:11] + b"\x00" + raw[12:]), second.verifier)
    refused("second_signature_wrong", check_second, note.replace("\n1\n", "\n2\n", 1), second.verifier)
    refused("bad_second_signature", check_second, with_line(raw[:-1]), second.verifier)
    refused(
        "bad_second_signature", check_second, with_line(raw[:4] + b"\xff" * 8 + raw[12:]), second.verifier
    )
    refused("no_second_signature", check_second, first, second.verifier)
    other = SecondSigner(signer.name, MLDSA44PrivateKey.generate())
    refused("no_second_signature", check_second, note, other.verifier)


def test_verification_with_the_second_key_wants_its_signature(twice, whole, second, signer):
    report = verify(twice, trusted=Trusted(second=second.verifier))
    assert report.integrity
    assert "ML-DSA-44" in report.step("checkpoint").words
    assert verify(twice).integrity
    assert not verify(whole, trusted=Trusted(second=second.verifier)).integrity
    assert cosigned_at((twice / "checkpoint").read_text(), witness_key(signer)) is None


def test_a_proof_carries_both_signatures(tmp_path, signer, second, make):
    log = Log(tmp_path / "trail", signer, second=second)
    log.record(make())
    assert check_second(log.prove(0).split("\n\n", 1)[1], second.verifier)
    log.close()


def test_a_trail_never_changes_its_second_key_in_silence(twice, signer):
    other = SecondSigner(signer.name, MLDSA44PrivateKey.generate())
    with pytest.raises(LogDamaged) as caught:
        Log(twice, signer, second=other)
    assert caught.value.code == "other_key"


def test_the_second_key_is_made_once_beside_the_first(tmp_path):
    key, words = tmp_path / "trail.key", b"long random words"
    create_key(key, words)
    made = open_second(key, words, "a.example")
    assert second_key_file(key).name == "trail-ml-dsa-44.key"
    assert second_key_file(key).stat().st_mode & 0o777 == 0o600
    assert open_second(key, words, "a.example").verifier == made.verifier
    refused("key_not_opened", open_second, key, b"other", "a.example", kind=BadInput)
    second_key_file(key).write_bytes(key.read_bytes())
    refused("key_not_ml_dsa", open_second, key, words, "a.example", kind=BadInput)
    refused("bad_origin", open_second, key, words, "é" * 128, kind=BadInput)


def test_the_commands_take_the_second_key(twice, second, tmp_path, monkeypatch):
    told = CliRunner().invoke(app, ["verify", str(twice), "--second-key", str(twice / VKEY)])
    assert told.exit_code == 0
    assert "ML-DSA-44" in told.stdout
    served = []
    monkeypatch.setattr("audit.recorder.serve", lambda *_, second, **__: served.append(second))
    (tmp_path / "pass").write_text("long random words")
    named = {"dir": "t", "socket": "s", "key-file": "k.key", "passphrase-file": "pass"}
    words = [f"--{name}={tmp_path / value}" for name, value in named.items()]
    for more in ([], ["--second-signature"]):
        assert CliRunner().invoke(app, ["serve", "--origin=a.example", *words, *more]).exit_code == 0
    assert served[0] is None
    assert isinstance(served[1], second_signature.SecondSigner)
