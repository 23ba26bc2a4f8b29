import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.vault.helpers import PASSPHRASE, Keyrings, receipt
from vault.errors import VaultDamaged, VaultRefused, VaultUsage
from vault.keyring import change_keyring_passphrase, open_keyring
from vault.keys import PURPOSES, Rights

CONTEXT = "dataset:sejours|1|research"
IMPORT = receipt("data.import", "dataset:sejours")
QUERY = receipt("data.query", "dataset:sejours")
ROTATE = receipt("key.rotate", "dataset:sejours", "key:research")
SHRED = receipt("data.shred", "dataset:sejours")


def test_the_engine_unwraps_what_intake_wrapped(shared: Keyrings) -> None:
    key, wrapped = shared.intake.new_data_key("research", CONTEXT, IMPORT)
    assert len(key) == 32
    assert shared.engine.unwrap("research", wrapped, CONTEXT, QUERY) == key


def test_no_two_data_keys_are_alike(shared: Keyrings) -> None:
    made = {shared.intake.new_data_key("research", CONTEXT, IMPORT) for _ in range(3)}
    assert len(made) == 3


def test_a_keyring_opened_before_sees_a_key_added_since(own_file: Path) -> None:
    engine = open_keyring(own_file, PASSPHRASE, Rights.ENGINE)
    intake = open_keyring(own_file, PASSPHRASE, Rights.INTAKE)
    key, wrapped = intake.new_data_key("research", CONTEXT, IMPORT)
    assert engine.unwrap("research", wrapped, CONTEXT, QUERY) == key


def test_a_key_wrapped_for_one_context_does_not_open_in_another(shared: Keyrings) -> None:
    other = "dataset:sejours|2|research"
    shared.intake.new_data_key("research", other, IMPORT)
    _, wrapped = shared.intake.new_data_key("research", CONTEXT, IMPORT)
    with pytest.raises(VaultDamaged) as caught:
        shared.engine.unwrap("research", wrapped, other, QUERY)
    assert caught.value.code == "wrapped_key_mismatch"


def test_a_context_this_keyring_never_saw_is_refused(shared: Keyrings) -> None:
    _, wrapped = shared.intake.new_data_key("research", CONTEXT, IMPORT)
    with pytest.raises(VaultRefused) as caught:
        shared.engine.unwrap("research", wrapped, "dataset:sejours|99|research", QUERY)
    assert caught.value.code == "key_context_unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text.replace("enclave1", "enclave2"), "wrapped_key_unreadable"),
        (lambda text: text.replace(":research:", ":text:"), "wrapped_key_unreadable"),
        (lambda text: text.replace(":1:", ":9:"), "wrapped_key_unreadable"),
        (lambda _text: "enclave1:research:1:AAA", "wrapped_key_unreadable"),
        (lambda _text: "enclave1:research:1:AAAA", "wrapped_key_mismatch"),
        (lambda text: f"{text[:-8]}AAAAAAAA", "wrapped_key_mismatch"),
    ],
)
def test_a_changed_wrapped_key_is_refused(shared: Keyrings, change, code: str) -> None:
    _, wrapped = shared.intake.new_data_key("research", CONTEXT, IMPORT)
    with pytest.raises(VaultDamaged) as caught:
        shared.engine.unwrap("research", change(wrapped), CONTEXT, QUERY)
    assert caught.value.code == code


WRAPS = {
    "intake": {"research", "identity", "text", "quarantine"},
    "engine": {"answers", "objections"},
    "compact_identity": {"identity"},
    "compact_research": {"research"},
    "compact_text": {"text"},
}
UNWRAPS = {
    "engine": {"research", "text", "answers", "objections"},
    "reident": {"identity"},
    "compact_identity": {"identity", "objections"},
    "compact_research": {"research", "objections"},
    "compact_text": {"text", "objections"},
}
MACS = {"intake": {"unit", "order"}, "engine": {"unit", "order", "pseudonym"}}
SIGNS = {"intake": {"manifest"}, "publisher": {"package"}, "operator": {"manifest"}}
PROCESSES = [rights.name.lower() for rights in Rights]


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_can_do_what_its_rights_name_and_nothing_else(shared: Keyrings, process: str) -> None:
    keys = getattr(shared, process)
    both = receipt("data.query", "dataset:sejours")
    for purpose in PURPOSES:
        allowed = _allowed(lambda p=purpose: keys.new_data_key(p, CONTEXT, both))
        assert allowed == (purpose in WRAPS.get(process, set()))
        wrapped = _wrapped(shared, purpose)
        allowed = _allowed(lambda p=purpose, w=wrapped: keys.unwrap(p, w, CONTEXT, both))
        assert allowed == (purpose in UNWRAPS.get(process, set()))
    for name in ("unit", "order", "pseudonym"):
        assert _allowed(lambda n=name: keys.mac(n, b"x")) == (name in MACS.get(process, set()))
    for name in ("manifest", "package"):
        assert _allowed(lambda n=name: keys.sign(n, b"x")) == (name in SIGNS.get(process, set()))


def _wrapped(keys: Keyrings, purpose: str) -> str:
    maker = keys.engine if purpose in {"answers", "objections"} else keys.intake
    return maker.new_data_key(purpose, CONTEXT, receipt("data.query", "dataset:sejours"))[1]


def _allowed(act) -> bool:
    try:
        act()
    except VaultRefused as refused:
        if refused.code != "key_right_missing":
            raise
        return False
    return True


@pytest.mark.parametrize("process", ["intake", "engine", "reident", "publisher"])
def test_only_the_operator_rewraps_rotates_and_shreds(own: Keyrings, process: str) -> None:
    keys = getattr(own, process)
    assert not _allowed(lambda: keys.rewrap("research", "", CONTEXT, ROTATE))
    assert not _allowed(lambda: keys.rotate("research", ROTATE))
    assert not _allowed(lambda: keys.retire("research", ROTATE))
    assert not _allowed(lambda: keys.shred("research", CONTEXT, SHRED))


def test_after_a_rotation_old_keys_open_and_rewrapped_ones_are_of_the_new_version(own: Keyrings) -> None:
    key, old = own.intake.new_data_key("research", CONTEXT, IMPORT)
    own.operator.rotate("research", ROTATE)
    new = own.operator.rewrap("research", old, CONTEXT, ROTATE)
    assert (old.split(":")[2], new.split(":")[2]) == ("1", "2")
    assert own.engine.unwrap("research", old, CONTEXT, QUERY) == key
    assert own.engine.unwrap("research", new, CONTEXT, QUERY) == key
    assert own.intake.new_data_key("research", CONTEXT, IMPORT)[1].split(":")[2] == "2"


def test_after_retiring_only_what_was_rewrapped_opens(own: Keyrings) -> None:
    key, old = own.intake.new_data_key("research", CONTEXT, IMPORT)
    before = own.intake._keys()["purposes"]["research"][0]
    own.operator.rotate("research", ROTATE)
    new = own.operator.rewrap("research", old, CONTEXT, ROTATE)
    own.operator.retire("research", ROTATE)
    own.operator.retire("research", ROTATE)
    assert own.engine.unwrap("research", new, CONTEXT, QUERY) == key
    with pytest.raises(VaultRefused) as caught:
        own.engine.unwrap("research", old, CONTEXT, QUERY)
    assert caught.value.code == "wrapped_key_retired"
    assert before.encode() not in own.intake._file.read()


def test_under_a_new_passphrase_the_same_keys_open_and_the_old_one_does_not(own: Keyrings) -> None:
    key, wrapped = own.intake.new_data_key("research", CONTEXT, IMPORT)
    new = b"other words nobody guesses"
    change_keyring_passphrase(own.path, PASSPHRASE, new)
    assert open_keyring(own.path, new, Rights.ENGINE).unwrap("research", wrapped, CONTEXT, QUERY) == key
    for act, code in (
        (lambda: open_keyring(own.path, PASSPHRASE, Rights.ENGINE), "keyring_passphrase_wrong"),
        (lambda: own.engine.unwrap("research", wrapped, CONTEXT, QUERY), "keyring_passphrase_changed"),
        (lambda: change_keyring_passphrase(own.path, PASSPHRASE, new), "keyring_passphrase_wrong"),
    ):
        with pytest.raises(VaultRefused) as caught:
            act()
        assert caught.value.code == code


def test_a_passphrase_too_short_changes_nothing(own: Keyrings) -> None:
    before = own.path.read_bytes()
    with pytest.raises(VaultUsage):
        change_keyring_passphrase(own.path, PASSPHRASE, b"short")
    assert own.path.read_bytes() == before


def test_a_shredded_context_opens_for_nobody_again(own: Keyrings) -> None:
    _, wrapped = own.intake.new_data_key("research", CONTEXT, IMPORT)
    own.operator.shred("research", CONTEXT, SHRED)
    own.operator.shred("research", CONTEXT, SHRED)
    acts = [
        lambda: own.engine.unwrap("research", wrapped, CONTEXT, QUERY),
        lambda: own.operator.rewrap("research", wrapped, CONTEXT, ROTATE),
        lambda: own.intake.new_data_key("research", CONTEXT, IMPORT),
        lambda: open_keyring(own.path, PASSPHRASE, Rights.ENGINE).unwrap("research", wrapped, CONTEXT, QUERY),
    ]
    for act in acts:
        with pytest.raises(VaultRefused) as caught:
            act()
        assert caught.value.code == "key_shredded"


def test_shredding_removes_the_key_itself_and_not_only_its_name(own: Keyrings) -> None:
    own.intake.new_data_key("research", CONTEXT, IMPORT)
    context_key = own.intake._keys()["contexts"][f"research|{CONTEXT}"]
    own.operator.shred("research", CONTEXT, SHRED)
    assert context_key.encode() not in own.intake._file.read()


def test_shredding_one_context_leaves_the_others(own: Keyrings) -> None:
    other = "dataset:sejours|2|research"
    key, wrapped = own.intake.new_data_key("research", other, IMPORT)
    own.operator.shred("research", CONTEXT, SHRED)
    assert own.engine.unwrap("research", wrapped, other, QUERY) == key


@pytest.mark.parametrize(
    "wrong",
    [
        receipt("data.denied", "dataset:sejours"),
        receipt("data.query", "dataset:other"),
        receipt("data.query"),
    ],
)
def test_no_key_moves_without_the_receipt_of_this_act_on_this_object(shared: Keyrings, wrong) -> None:
    _, wrapped = shared.intake.new_data_key("research", CONTEXT, IMPORT)
    acts = [
        lambda: shared.intake.new_data_key("research", CONTEXT, wrong),
        lambda: shared.engine.unwrap("research", wrapped, CONTEXT, wrong),
        lambda: shared.operator.rewrap("research", wrapped, CONTEXT, wrong),
        lambda: shared.operator.rotate("research", wrong),
        lambda: shared.operator.retire("research", wrong),
        lambda: shared.operator.shred("research", CONTEXT, wrong),
    ]
    for act in acts:
        with pytest.raises(VaultRefused) as caught:
            act()
        assert caught.value.code == "receipt_mismatch"


@pytest.mark.parametrize("context", ["", "sejours", "dataset:", "dataset:a||b", "dataset:A", "dataset:a\n"])
def test_a_malformed_context_is_a_usage_error(shared: Keyrings, context: str) -> None:
    with pytest.raises(VaultUsage):
        shared.intake.new_data_key("research", context, IMPORT)


def test_an_unknown_name_is_a_usage_error(shared: Keyrings) -> None:
    for act in (
        lambda: shared.engine.public_key("unit"),
        lambda: shared.operator.rotate("other", ROTATE),
        lambda: shared.operator.shred("other", CONTEXT, SHRED),
    ):
        with pytest.raises(VaultUsage):
            act()


def test_rewrapping_under_an_unknown_purpose_is_refused(shared: Keyrings) -> None:
    with pytest.raises(VaultDamaged):
        shared.operator.rewrap("other", "enclave1:other:1:AAAA", CONTEXT, ROTATE)


def test_macs_are_hmac_sha256_and_differ_by_name(shared: Keyrings) -> None:
    macs = {name: shared.engine.mac(name, b"x") for name in ("unit", "order", "pseudonym")}
    assert len(set(macs.values())) == 3
    assert all(len(value) == hashlib.sha256().digest_size for value in macs.values())
    assert hmac.compare_digest(macs["unit"], shared.intake.mac("unit", b"x"))


def test_signatures_hold_under_the_key_everybody_may_have(shared: Keyrings) -> None:
    public = Ed25519PublicKey.from_public_bytes(shared.reident.public_key("package"))
    public.verify(shared.publisher.sign("package", b"x"), b"x")
    with pytest.raises(InvalidSignature):
        public.verify(shared.intake.sign("manifest", b"x"), b"x")
