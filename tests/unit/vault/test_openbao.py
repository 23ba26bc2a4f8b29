"""The key service on another machine, against a loopback server of the same shape; the real one is in tests/integration."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.vault.certificates import authority, tls_server
from tests.unit.vault.helpers import receipt
from tests.unit.vault.transit_on_loopback import LEASE, POD, ROLE, SECRET, House, transit_on_loopback
from vault.errors import VaultDamaged, VaultDown, VaultError, VaultRefused, VaultUsage
from vault.keys import PURPOSES, Rights
from vault.openbao import (
    AppRole,
    Connection,
    Kubernetes,
    Login,
    Server,
    check_open,
    try_again,
    unwrap_secret_id,
)
from vault.transit import TransitKeys, key_name

CONTEXT = "dataset:sejours|1|research"
IMPORT = receipt("data.import", "dataset:sejours")
QUERY = receipt("data.query", "dataset:sejours")
ROTATE = receipt("key.rotate", "dataset:sejours", "key:research")
SHRED = receipt("data.shred", "dataset:sejours")
PAUSES = 3


@pytest.fixture
def house() -> Iterator[House]:
    with transit_on_loopback() as opened:
        yield opened


class Hours:
    """A clock a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def keys_of(house: House, rights: Rights, **more) -> TransitKeys:
    login: Login = more.pop("login", AppRole(ROLE, SECRET))
    more.setdefault("sleep", lambda _: None)
    return TransitKeys(Connection(Server(house.address), login, **more), rights)


@pytest.fixture
def intake(house: House) -> TransitKeys:
    return keys_of(house, Rights.INTAKE)


@pytest.fixture
def engine(house: House) -> TransitKeys:
    return keys_of(house, Rights.ENGINE)


@pytest.fixture
def operator(house: House) -> TransitKeys:
    return keys_of(house, Rights.OPERATOR)


def code_of(act: Callable[[], object], kind: type[VaultError]) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.code


def test_the_engine_unwraps_what_intake_wrapped(intake: TransitKeys, engine: TransitKeys) -> None:
    key, wrapped = intake.new_data_key("research", CONTEXT, IMPORT)
    assert len(key) == 32
    assert engine.unwrap("research", wrapped, CONTEXT, QUERY) == key
    assert intake.new_data_key("research", CONTEXT, IMPORT)[0] != key


def test_a_key_wrapped_for_one_context_does_not_open_in_another(
    intake: TransitKeys, engine: TransitKeys
) -> None:
    other = "dataset:sejours|2|research"
    intake.new_data_key("research", other, IMPORT)
    _, wrapped = intake.new_data_key("research", CONTEXT, IMPORT)
    for text in (wrapped, "enclave1:research:1:AAAA"):
        assert (
            code_of(lambda t=text: engine.unwrap("research", t, other, QUERY), VaultDamaged)
            == "wrapped_key_mismatch"
        )


def test_no_two_contexts_share_a_transit_key() -> None:
    assert key_name("research", CONTEXT) == "research_dataset_sejours_1_research"
    assert key_name("research", "dataset:a-b|1") != key_name("research", "dataset:a|b|1")


def test_after_a_rotation_old_keys_open_and_after_retiring_only_rewrapped_ones(
    intake: TransitKeys, engine: TransitKeys, operator: TransitKeys
) -> None:
    key, old = intake.new_data_key("research", CONTEXT, IMPORT)
    operator.rotate("research", ROTATE)
    new = operator.rewrap("research", old, CONTEXT, ROTATE)
    assert (old.split(":")[1], new.split(":")[1]) == ("v1", "v2")
    assert engine.unwrap("research", old, CONTEXT, QUERY) == key
    operator.retire("research", ROTATE)
    assert engine.unwrap("research", new, CONTEXT, QUERY) == key
    assert (
        code_of(lambda: engine.unwrap("research", old, CONTEXT, QUERY), VaultRefused) == "wrapped_key_retired"
    )


def test_rotating_where_there_is_no_key_yet_does_nothing(house: House, operator: TransitKeys) -> None:
    house.keys.clear()
    operator.rotate("research", ROTATE)
    assert not house.keys


def test_a_shredded_context_opens_for_nobody_again(
    intake: TransitKeys, engine: TransitKeys, operator: TransitKeys
) -> None:
    _, wrapped = intake.new_data_key("research", CONTEXT, IMPORT)
    operator.shred("research", CONTEXT, SHRED)
    operator.shred("research", CONTEXT, SHRED)
    assert (
        code_of(lambda: engine.unwrap("research", wrapped, CONTEXT, QUERY), VaultRefused)
        == "key_context_unknown"
    )
    assert (
        code_of(lambda: operator.rewrap("research", wrapped, CONTEXT, ROTATE), VaultRefused)
        == "key_context_unknown"
    )


def test_macs_differ_by_name_and_signatures_hold(house: House, engine: TransitKeys) -> None:
    macs = {name: engine.mac(name, b"x") for name in ("unit", "order", "pseudonym")}
    assert len(set(macs.values())) == 3
    assert {len(value) for value in macs.values()} == {hashlib.sha256().digest_size}
    publisher = keys_of(house, Rights.PUBLISHER)
    public = Ed25519PublicKey.from_public_bytes(engine.public_key("package"))
    public.verify(publisher.sign("package", b"x"), b"x")
    with pytest.raises(InvalidSignature):
        public.verify(publisher.sign("package", b"x"), b"y")


def test_a_signing_key_that_was_never_made_is_named(house: House, engine: TransitKeys) -> None:
    del house.keys["sign_package"]
    assert code_of(lambda: engine.public_key("package"), VaultRefused) == "key_context_unknown"
    assert code_of(lambda: engine.public_key("other"), VaultUsage) == "key_name_unknown"


@pytest.mark.parametrize("rights", list(Rights))
def test_each_process_is_refused_here_before_the_server_is_asked(house: House, rights: Rights) -> None:
    keys = keys_of(house, rights)
    wraps, opens = set(PURPOSES) - rights.value.wrap, set(PURPOSES) - rights.value.unwrap
    acts: list[Callable[[], object]] = [
        *(lambda n=name: keys.new_data_key(n, CONTEXT, IMPORT) for name in wraps),
        *(lambda n=name: keys.unwrap(n, "", CONTEXT, QUERY) for name in opens),
        *(lambda n=name: keys.mac(n, b"") for name in {"unit", "release"} - rights.value.mac),
        *(lambda n=name: keys.sign(n, b"") for name in {"manifest", "package"} - rights.value.sign),
    ]
    if not rights.value.operate:
        acts += [
            lambda: keys.rewrap("research", "", CONTEXT, ROTATE),
            lambda: keys.rotate("research", ROTATE),
            lambda: keys.retire("research", ROTATE),
            lambda: keys.shred("research", CONTEXT, SHRED),
        ]
    assert {code_of(act, VaultRefused) for act in acts} == {"key_right_missing"}
    assert not house.seen


def test_no_key_moves_without_the_receipt_of_this_act_on_this_object(
    house: House, intake: TransitKeys, engine: TransitKeys, operator: TransitKeys
) -> None:
    wrong = receipt("data.query", "dataset:other")
    acts = [
        lambda: intake.new_data_key("research", CONTEXT, wrong),
        lambda: engine.unwrap("research", "", CONTEXT, wrong),
        lambda: operator.rewrap("research", "", CONTEXT, wrong),
        lambda: operator.rotate("research", wrong),
        lambda: operator.retire("research", wrong),
        lambda: operator.shred("research", CONTEXT, wrong),
    ]
    assert {code_of(act, VaultRefused) for act in acts} == {"receipt_mismatch"}
    assert not house.seen


# --- signing in


def test_one_sign_in_serves_many_requests(house: House, engine: TransitKeys) -> None:
    engine.mac("unit", b"x")
    engine.mac("unit", b"x")
    assert house.sign_ins() == 1


def test_a_pod_signs_in_with_its_own_token(house: House, tmp_path: Path) -> None:
    token = tmp_path / "token"
    keys = keys_of(house, Rights.ENGINE, login=Kubernetes("enclave-engine", token))
    assert code_of(lambda: keys.mac("unit", b"x"), VaultDown) == "key_login_missing"
    token.write_text(POD)
    assert len(keys.mac("unit", b"x")) == 32
    assert "POST auth/kubernetes/login" in house.seen


def test_wrong_credentials_are_refused_and_shown_nowhere(house: House) -> None:
    login = AppRole(ROLE, "a guess of somebody")
    keys = keys_of(house, Rights.ENGINE, login=login)
    with pytest.raises(VaultRefused) as caught:
        keys.mac("unit", b"x")
    assert caught.value.code == "key_login_refused"
    assert "guess" not in repr(login) + caught.value.message + caught.value.to_do


def test_a_token_is_renewed_at_two_thirds_of_its_lease_and_not_before(house: House) -> None:
    clock = Hours()
    keys = keys_of(house, Rights.ENGINE, clock=clock)
    keys.mac("unit", b"x")
    clock.now = LEASE * 0.66
    keys.mac("unit", b"x")
    assert "POST auth/token/renew-self" not in house.seen
    clock.now = LEASE * 0.67
    keys.mac("unit", b"x")
    assert house.seen.count("POST auth/token/renew-self") == 1
    assert house.sign_ins() == 1


@pytest.mark.parametrize("renewed", [None, LEASE / 3])
def test_where_renewal_is_refused_or_near_its_end_the_process_signs_in_anew(
    house: House, renewed: float | None
) -> None:
    clock = Hours()
    keys = keys_of(house, Rights.ENGINE, clock=clock)
    house.renewed_lease = renewed
    keys.mac("unit", b"x")
    clock.now = LEASE
    keys.mac("unit", b"x")
    assert house.sign_ins() == 2


def test_a_token_without_an_end_is_never_renewed(house: House) -> None:
    clock, house.lease = Hours(), 0.0
    keys = keys_of(house, Rights.ENGINE, clock=clock)
    keys.mac("unit", b"x")
    clock.now = 1e9
    keys.mac("unit", b"x")
    assert house.sign_ins() == 1


def test_a_token_that_expired_in_mid_read_costs_one_sign_in_and_no_error(
    house: House, engine: TransitKeys
) -> None:
    engine.mac("unit", b"x")
    house.tokens.clear()
    assert len(engine.mac("unit", b"x")) == 32
    assert house.sign_ins() == 2


def test_a_refused_right_is_not_tried_again(house: House, engine: TransitKeys) -> None:
    house.deny.add("transit/hmac/mac_unit")
    assert code_of(lambda: engine.mac("unit", b"x"), VaultRefused) == "key_right_refused"
    assert house.seen.count("POST transit/hmac/mac_unit/sha2-256") == 1
    assert house.sign_ins() == 1


def test_a_right_refused_after_signing_in_anew_is_told(house: House, engine: TransitKeys) -> None:
    engine.mac("order", b"x")
    house.tokens.clear()
    house.deny.add("transit/hmac/mac_unit")
    assert code_of(lambda: engine.mac("unit", b"x"), VaultRefused) == "key_right_refused"


def test_a_wrapped_secret_id_opens_once(house: House) -> None:
    house.wrapped["token-once"] = SECRET
    server = Server(house.address)
    assert unwrap_secret_id(server, "token-once") == SECRET
    assert code_of(lambda: unwrap_secret_id(server, "token-once"), VaultRefused) == "wrapped_secret_refused"


def test_a_token_that_wraps_something_else_is_not_opened(house: House) -> None:
    house.wrapped["planted"] = "not a secret id"
    house.wrapped_at = "sys/wrapping/wrap"
    assert (
        code_of(lambda: unwrap_secret_id(Server(house.address), "planted"), VaultRefused)
        == "wrapped_secret_refused"
    )
    assert "planted" in house.wrapped


# --- a service that is not well

BUSY = (429, {"errors": ["rate limit"]})
BAD_GATEWAY = (502, {"errors": []})
SEALED = (503, {"errors": ["Vault is sealed"]})


@pytest.mark.parametrize("passing", [BUSY, BAD_GATEWAY, SEALED, "cut"])
def test_what_passes_is_tried_again_with_growing_uneven_pauses(house: House, passing) -> None:
    pauses: list[float] = []
    keys = keys_of(house, Rights.ENGINE, sleep=pauses.append)
    keys.mac("unit", b"x")
    house.next_answers = [passing] * PAUSES
    assert len(keys.mac("unit", b"x")) == 32
    assert pauses == sorted(pauses)
    assert len(set(pauses)) == PAUSES


@pytest.mark.parametrize(
    ("lasting", "code"),
    [(BUSY, "key_service_busy"), (SEALED, "key_service_sealed"), ("cut", "key_service_unreachable")],
)
def test_what_lasts_is_told_after_a_bounded_number_of_tries(
    house: House, engine: TransitKeys, lasting, code: str
) -> None:
    engine.mac("unit", b"x")
    house.next_answers = [lasting] * (PAUSES + 2)
    assert code_of(lambda: engine.mac("unit", b"x"), VaultDown) == code
    assert len(house.next_answers) == 1


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        ((500, {"errors": ["internal"]}), "key_service_failed"),
        ((418, {"errors": []}), "key_service_failed"),
        ((307, None), "key_service_unreadable"),
        ((200, {"data": {}}), "key_service_unreadable"),
        ((200, {"other": "form"}), "key_service_unreadable"),
        ((200, {"data": {"hmac": "vault:v1:*"}}), "key_service_unreadable"),
        ((200, {"data": {"hmac": 7}}), "key_service_unreadable"),
    ],
)
def test_an_answer_nobody_can_use_is_a_service_that_is_down(
    house: House, engine: TransitKeys, odd, code: str
) -> None:
    engine.mac("unit", b"x")
    house.next_answers = [odd]
    assert code_of(lambda: engine.mac("unit", b"x"), VaultDown) == code


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (requests.exceptions.ChunkedEncodingError(), "key_service_unreachable"),
        (requests.exceptions.ContentDecodingError(), "key_service_unreadable"),
        (requests.exceptions.InvalidHeader(), "key_service_unreadable"),
    ],
)
def test_an_answer_that_breaks_off_or_is_no_http_is_told(raised: Exception, code: str) -> None:
    def ask() -> None:
        raise raised

    assert code_of(lambda: try_again(ask, lambda _: None), VaultDown) == code


def test_a_server_that_is_not_there_is_told(house: House) -> None:
    keys = TransitKeys(
        Connection(Server("http://127.0.0.1:1"), AppRole(ROLE, SECRET), sleep=lambda _: None), Rights.ENGINE
    )
    assert code_of(lambda: keys.mac("unit", b"x"), VaultDown) == "key_service_unreachable"


def test_a_server_that_does_not_answer_is_told_and_not_asked_again(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.05)
        keys = TransitKeys(Connection(server, AppRole(ROLE, SECRET), sleep=pytest.fail), Rights.ENGINE)
        assert code_of(lambda: keys.mac("unit", b"x"), VaultDown) == "key_service_slow"


def test_a_certificate_of_another_authority_is_not_trusted(tmp_path: Path) -> None:
    ours = authority(tmp_path, "ours")
    with tls_server(authority(tmp_path, "theirs")) as address:
        keys = TransitKeys(
            Connection(Server(address, ca_file=ours), AppRole(ROLE, SECRET), sleep=pytest.fail),
            Rights.ENGINE,
        )
        assert code_of(lambda: keys.mac("unit", b"x"), VaultDown) == "key_service_untrusted"


def test_whether_a_server_is_unsealed_is_told_without_signing_in(house: House) -> None:
    check_open(Server(house.address))
    house.sealed = True
    assert code_of(lambda: check_open(Server(house.address)), VaultDown) == "key_service_sealed"
    assert set(house.seen) == {"GET sys/seal-status"}
