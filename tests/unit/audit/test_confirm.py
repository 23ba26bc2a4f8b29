"""Having a checkpoint confirmed: what witnesses and time-stamping authorities answer, and what becomes of it."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest

from audit.ask import post
from audit.checkpoint import COSIGNATURE, read_vkey
from audit.confirm import Partner, confirm, read_partner
from audit.confirmations import Trusted
from audit.cosignature import cosign, cosigned_at
from audit.errors import BadInput, LogDamaged, LogUnavailable, ProofWrong
from audit.log import Log
from audit.timestamp import read_roots, stamp, stamped_at
from audit.verify import verify

NOW = 1_790_000_000


def grow(trail, signer, make, count=1):
    log = Log(trail, signer)
    for each in [log.submit(make()) for _ in range(count)]:
        each.result()
    log.prove(log.head.size - 1)
    log.close()


def test_two_witnesses_confirm_and_a_verifier_with_their_keys_sees_it(trail, signer, make, start_witness):
    one, two = start_witness("one", lambda: NOW), start_witness("two", lambda: NOW + 60)
    for size in (300, 301, 600):
        if size > 300:
            grow(trail, signer, make, size - (301 if size == 600 else 300))
        done = confirm(trail, [one.partner, two.partner])
        assert (done.size, done.refusals) == (size, ())
        assert done.witnesses == ("witness.example/one", "witness.example/two")
    report = verify(trail, signer.verifier.vkey(), None, Trusted((one.witness.key, two.witness.key)))
    assert report.exit_code == 0
    assert report.witnessed.by == ("witness.example/one", "witness.example/two")
    assert (report.witnessed.size, report.witnessed.since) == (600, "2026-09-21T14:14:20Z")
    assert "600 of 600 entries confirmed" in report.step("witnesses").words


def test_a_size_is_confirmed_once_and_an_empty_log_never(trail, tmp_path, signer, start_witness):
    one = start_witness()
    assert confirm(trail, [one.partner]).witnesses == ("witness.example/one",)
    assert confirm(trail, [one.partner]).witnesses == ()
    Log(tmp_path / "empty", signer).close()
    assert confirm(tmp_path / "empty", [one.partner]).size == 0


def test_a_witness_that_is_down_does_not_keep_the_other_from_confirming(trail, start_witness):
    one = start_witness()
    gone = Partner(start_witness("two").witness.key, "http://127.0.0.1:1")
    done = confirm(trail, [gone, one.partner])
    assert done.witnesses == ("witness.example/one",)
    assert [each.code for each in done.refusals] == ["no_answer"]
    keys = (gone.key, one.witness.key)
    assert verify(trail, trusted=Trusted(keys)).step("witnesses").verdict == "failed"
    assert verify(trail, trusted=Trusted(keys, 1)).step("witnesses").verdict == "ok"


def test_nothing_is_written_when_nobody_answers(trail, start_witness):
    gone = Partner(start_witness().witness.key, "http://127.0.0.1:1")
    confirm(trail, [gone])
    assert not (trail / "confirmed").exists()


def test_a_confirmation_that_cannot_be_written_is_told(trail, start_witness):
    (trail / "confirmed").write_text("in the way")
    done = confirm(trail, [start_witness().partner])
    assert [each.code for each in done.refusals] == ["confirmation_not_kept"]
    assert done.witnesses == ()


def test_a_log_that_was_rolled_back_is_told_by_its_witness(trail, tmp_path, signer, make, start_witness):
    one = start_witness()
    backup = shutil.copytree(trail, tmp_path / "backup")
    grow(trail, signer, make, 5)
    confirm(trail, [one.partner])
    (refusal,) = confirm(backup, [one.partner]).refusals
    assert isinstance(refusal, LogDamaged)
    assert "305 entries, this log shows 300: it was rolled back" in refusal.message
    grow(backup, signer, make, 5)
    (refusal,) = confirm(backup, [one.partner]).refusals
    assert "rewritten or forked" in refusal.message
    grow(backup, signer, make, 5)
    (refusal,) = confirm(backup, [one.partner]).refusals
    assert "rewritten or forked" in refusal.message


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (500, b"", "witness_refuses"),
        (409, b"many", "bad_answer"),
        (200, b"", "no_cosignature"),
        (200, b"\xe2\x80\x94 witness.example/behind AAAA\n", "no_cosignature"),
        (200, b"\xe2\x80\x94 witness.example/behind !\n", "no_cosignature"),
        (200, b"\xff\xfe\n", "no_cosignature"),
    ],
)
def test_a_wrong_answer_is_no_confirmation(status, body, code, trail, serve_answers, start_witness):
    with serve_answers(lambda *_: (status, body, "text/plain")) as address:
        done = confirm(trail, [Partner(start_witness("behind").witness.key, address)])
    assert [each.code for each in done.refusals] == [code]
    assert not done.witnesses


def test_what_else_a_witness_sends_is_not_published(trail, serve_answers, start_witness):
    one, other = start_witness("one"), start_witness("other")

    def answer(path, body):
        note = body.decode().partition("\n\n")[2]
        text = note.partition("\n\n")[0] + "\n"
        lines = cosign(other.witness._signer, text, NOW) + cosign(one.witness._signer, text, NOW)
        return 200, lines.encode(), "text/plain"

    with serve_answers(answer) as address:
        confirm(trail, [Partner(one.witness.key, address)])
    (file,) = (trail / "confirmed").glob("*.checkpoint")
    assert cosigned_at(file.read_text(), one.witness.key) == NOW
    assert cosigned_at(file.read_text(), other.witness.key) is None


def test_a_witness_is_given_as_key_and_address(start_witness):
    key = start_witness().witness.key
    assert read_partner(f"{key.vkey()} https://w.example/a/\n") == Partner(key, "https://w.example/a")
    for wrong in (key.vkey(), f"{key.vkey()} ftp://w.example", "key https://w.example"):
        with pytest.raises(BadInput):
            read_partner(wrong)


def test_a_key_of_a_log_is_no_key_of_a_witness(signer):
    with pytest.raises(BadInput):
        read_vkey(signer.verifier.vkey(), COSIGNATURE)


def test_no_trail_is_a_usage_error(tmp_path):
    with pytest.raises(BadInput, match="no trail"):
        confirm(tmp_path, [])


@pytest.mark.parametrize("address", ["ftp://a.example", "https://", "nothing"])
def test_an_address_that_is_none_is_a_usage_error(address):
    with pytest.raises(BadInput):
        post(address, b"", "text/plain")


# Time stamps


def test_a_stamp_is_checked_by_us_and_by_openssl(trail, signer, tsa):
    assert confirm(trail, [], tsa.address).stamped
    roots = read_roots(tsa.root.read_bytes())
    report = verify(trail, signer.verifier.vkey(), None, Trusted(stamp_roots=roots))
    assert report.exit_code == 0
    assert report.stamped.by == ("CN=Time Authority root",)
    assert report.stamped.until.startswith(f"{datetime.now(UTC):%Y-%m}")
    (file,) = (trail / "confirmed").glob("*.checkpoint")
    command = ["openssl", "ts", "-verify", "-CAfile", tsa.root, "-in", f"{file}.tsr", "-data"]
    assert subprocess.run([*command, file], capture_output=True, check=False).returncode == 0
    other = subprocess.run([*command, trail / "vkey"], capture_output=True, check=False)
    assert other.returncode != 0


def test_a_stamp_of_another_authority_or_over_other_bytes_is_refused(trail, tsa, other_tsa):
    told, roots = stamp(tsa.address, b"bytes"), read_roots(tsa.root.read_bytes())
    assert stamped_at(told, b"bytes", roots).tzinfo is not None
    with pytest.raises(ProofWrong):
        stamped_at(told, b"other bytes", roots)
    with pytest.raises(ProofWrong):
        stamped_at(told, b"bytes", read_roots(other_tsa.root.read_bytes()))
    with pytest.raises(ProofWrong):
        stamped_at(b"no stamp", b"bytes", roots)


def test_a_damaged_stamp_fails_its_step_and_so_does_none(trail, tsa):
    trusted = Trusted(stamp_roots=read_roots(tsa.root.read_bytes()))
    assert "no checkpoint here has a time stamp" in verify(trail, trusted=trusted).step("stamps").words
    confirm(trail, [], tsa.address)
    (file,) = (trail / "confirmed").glob("*.tsr")
    file.write_bytes(file.read_bytes()[:-1])
    report = verify(trail, trusted=trusted)
    assert (report.exit_code, report.step("stamps").verdict) == (5, "failed")


def test_without_a_certificate_stamps_are_counted_and_not_judged(trail, tsa):
    confirm(trail, [], tsa.address)
    assert "1 time stamps are here; no certificate" in verify(trail).step("stamps").words


def test_an_authority_that_does_not_stamp_is_told(trail, serve_answers):
    for status, body in ((500, b""), (200, b"nothing")):
        with serve_answers(lambda *_, told=(status, body): (*told, "text/plain")) as address:
            done = confirm(trail, [], address)
        assert [each.code for each in done.refusals] == ["no_stamp"]
        assert not done.stamped


def test_a_stamp_over_something_else_is_told(tsa, serve_answers):
    before = stamp(tsa.address, b"something else")
    with (
        serve_answers(lambda *_: (200, before, "text/plain")) as address,
        pytest.raises(LogUnavailable, match="something else"),
    ):
        stamp(address, b"bytes")


def test_a_certificate_file_without_certificates_is_a_usage_error():
    with pytest.raises(BadInput):
        read_roots(b"nothing")


# What a verifier makes of the folder


@pytest.mark.parametrize("quorum", [0, 2])
def test_a_quorum_is_of_the_keys_given(quorum, start_witness):
    with pytest.raises(BadInput):
        Trusted((start_witness().witness.key,), quorum)


def test_a_confirmed_file_that_is_not_the_logs_fails_its_step(trail, start_witness):
    one = start_witness()
    confirm(trail, [one.partner])
    (file,) = (trail / "confirmed").glob("*.checkpoint")
    text = file.read_text()
    for wrong in (text.replace("enclave.example/trail", "other.example/trail"), "nothing"):
        file.write_text(wrong)
        report = verify(trail, trusted=Trusted((one.witness.key,)))
        assert report.step("confirmed").verdict == "failed"
        assert report.exit_code == 5


def test_a_cosignature_that_does_not_hold_fails_its_step(trail, start_witness):
    one, two = start_witness("one"), start_witness("two")
    confirm(trail, [one.partner])
    (file,) = (trail / "confirmed").glob("*.checkpoint")
    note = file.read_text()
    file.write_text(note + cosign(two.witness._signer, "other\n", NOW))
    report = verify(trail, trusted=Trusted((one.witness.key, two.witness.key), 1))
    assert "does not hold" in report.step("witnesses").words


def test_a_time_no_calendar_has_is_told_as_a_number(trail, start_witness):
    one = start_witness("one", lambda: 2**62)
    confirm(trail, [one.partner])
    assert f"POSIX second {2**62}" in verify(trail, trusted=Trusted((one.witness.key,))).witnessed.since
