"""A log that is signed twice, shown to programs that know one of the two kinds of signature."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from audit.checkpoint import Signer
from audit.log import Log
from audit.recorder import own_event
from audit.second_signature import SecondSigner, check_second

NAME = "enclave.example/trail"
SIZE = 300


def test_who_does_not_know_the_second_signature_accepts_the_log(tmp_path, tlogcheck, fsck):
    signer, second = (
        Signer(NAME, Ed25519PrivateKey.generate()),
        SecondSigner(NAME, MLDSA44PrivateKey.generate()),
    )
    log = Log(tmp_path / "trail", signer, second=second)
    for answer in [log.submit(own_event("audit.heartbeat")) for _ in range(SIZE)]:
        answer.result()
    proof = log.prove(7)
    log.close()
    vkey = signer.verifier.vkey()
    assert check_second((tmp_path / "trail" / "checkpoint").read_text(), second.verifier)
    assert tlogcheck("log", tmp_path / "trail", vkey)
    assert fsck(tmp_path / "trail", vkey)
    (tmp_path / "a.tlog-proof").write_text(proof)
    assert tlogcheck("proof", tmp_path / "a.tlog-proof", vkey)
