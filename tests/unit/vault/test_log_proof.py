from base64 import b64encode

import pytest

from tests.unit.vault.helpers import ORIGIN, SmallLog
from vault.log_proof import ProofWrong, check_inclusion, check_log_signature, read_log_proof

LOG = SmallLog([b'{"n":%d}' % number for number in range(11)])
TEXT = LOG.prove(6)


def test_every_entry_of_logs_of_many_sizes_leads_to_the_root() -> None:
    for size in range(1, 18):
        log = SmallLog([b'{"n":%d}' % number for number in range(size)])
        for index in range(size):
            proof = read_log_proof(log.prove(index))
            check_inclusion(proof)
            check_log_signature(proof.note, log.vkey)
            assert proof.event() == {"n": index}


@pytest.mark.parametrize("index", [0, 5, 7, 10, 11, 500])
def test_an_entry_is_proven_at_its_own_place_only(index: int) -> None:
    with pytest.raises(ProofWrong):
        check_inclusion(read_log_proof(TEXT.replace("index 6", f"index {index}")))


def test_a_path_too_short_or_too_long_proves_nothing() -> None:
    lines = TEXT.split("\n")
    for changed in (lines[:3] + lines[4:], lines[:3] + lines[3:4] + lines[3:]):
        with pytest.raises(ProofWrong):
            check_inclusion(read_log_proof("\n".join(changed)))
    alone = SmallLog([b"{}"])
    step = b64encode(bytes(32)).decode()
    with pytest.raises(ProofWrong, match="too long"):
        check_inclusion(read_log_proof(alone.prove(0).replace("index 0\n", f"index 0\n{step}\n")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("v1", "v2"),
        TEXT.replace("index 6", "index 06"),
        TEXT.replace("index 6", "index -1"),
        TEXT.replace("extra ", "extra ="),
        "\n".join(line for line in TEXT.split("\n") if not line.startswith("extra ")),
        TEXT.replace("index 6\n", f"index 6\n{'A' * 43}=\n" * 64),
        TEXT.replace("index 6\n", f"index 6\n{'A' * 44}\n"),
        TEXT.replace("index 6\n", "index 6\n" + f"{'A' * 43}=\n" * 64),
    ],
)
def test_a_malformed_proof_is_refused(text: str) -> None:
    with pytest.raises(ProofWrong):
        read_log_proof(text)


@pytest.mark.parametrize("size", ["0", "-1", "011", "x"])
def test_a_malformed_checkpoint_proves_nothing(size: str) -> None:
    with pytest.raises(ProofWrong):
        check_inclusion(read_log_proof(TEXT.replace(f"{ORIGIN}\n11\n", f"{ORIGIN}\n{size}\n")))


def test_an_entry_that_is_not_an_event_is_said_so() -> None:
    for entry in (b"[]", b"not JSON"):
        with pytest.raises(ProofWrong):
            read_log_proof(SmallLog([entry]).prove(0)).event()


def test_a_changed_checkpoint_is_not_signed() -> None:
    note = LOG.checkpoint()
    check_log_signature(f"{note}— witness.example AAAA\n", LOG.vkey)
    for changed in (
        note.replace("\n11\n", "\n12\n"),
        note.replace("— ", "- "),
        note[:-20] + "AAAA" + note[-16:],
    ):
        with pytest.raises(ProofWrong):
            check_log_signature(changed, LOG.vkey)
