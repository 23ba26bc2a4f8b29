"""How a process signs in to a key service elsewhere, and what the doctor says of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from enclave import doctor, key_login
from enclave.doctor import Light
from enclave.errors import ComponentDown, EnclaveError, Refused
from enclave.settings import KeySettings, Settings
from enclave.wiring import open_keys, prepare_state
from tests.unit.vault.transit_on_loopback import POD, ROLE, SECRET, House, transit_on_loopback
from vault.errors import VaultRefused
from vault.keys import Rights

PROCESSES = ("intake", "engine", "publisher", "operator")


@pytest.fixture
def house() -> Iterator[House]:
    with transit_on_loopback() as opened:
        yield opened


@pytest.fixture
def settings(house: House, tmp_path: Path) -> Settings:
    folder = tmp_path / "logins"
    folder.mkdir(mode=0o700)
    keys = KeySettings(service="openbao", address=house.address, login_folder=folder)
    return Settings(state=tmp_path / "state", run=Path("/run/x"), keys=keys)


def secret(settings: Settings, name: str, text: str, mode: int = 0o600) -> Path:
    assert settings.keys.login_folder is not None
    path = settings.keys.login_folder / name
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


def give_all(settings: Settings) -> None:
    for process in PROCESSES:
        secret(settings, f"{process}.role-id", ROLE)
        secret(settings, f"{process}.secret-id", SECRET)


def mac(settings: Settings) -> bytes:
    return open_keys(settings, Rights.ENGINE).mac("unit", b"x")


def test_a_process_signs_in_with_its_own_role_and_secret(settings: Settings) -> None:
    give_all(settings)
    assert len(mac(settings)) == 32


def test_a_wrapped_secret_id_is_opened_once_and_its_file_removed(house: House, settings: Settings) -> None:
    house.wrapped["token-once"] = SECRET
    secret(settings, "engine.role-id", ROLE)
    wrapped = secret(settings, "engine.wrapped-secret-id", "token-once")
    assert len(mac(settings)) == 32
    assert not wrapped.exists()
    secret(settings, "engine.wrapped-secret-id", "token-once")
    with pytest.raises(VaultRefused) as refused:
        mac(settings)
    assert refused.value.code == "wrapped_secret_refused"


def test_credentials_that_are_missing_or_open_to_others_are_not_used(settings: Settings) -> None:
    secret(settings, "engine.role-id", ROLE)
    with pytest.raises(ComponentDown) as down:
        mac(settings)
    assert down.value.code == "key_login_missing"
    secret(settings, "engine.secret-id", SECRET, mode=0o640)
    with pytest.raises(Refused) as refused:
        mac(settings)
    assert refused.value.code == "key_login_open_to_others"
    assert SECRET not in refused.value.message


def test_in_a_cluster_the_pods_own_token_is_the_login(
    house: House, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text(POD)
    monkeypatch.setattr(key_login, "POD_TOKEN", token)
    keys = KeySettings(service="openbao", address=house.address, login="kubernetes")
    assert len(mac(settings.model_copy(update={"keys": keys}))) == 32
    assert key_login.missing_logins(keys) == []


def test_with_a_key_service_elsewhere_no_keyring_is_made(settings: Settings) -> None:
    prepare_state(settings)
    assert not (settings.state / "keys" / "keyring.json").exists()
    assert settings.passphrase_file.exists()


def test_the_doctor_tells_missing_credentials_a_sealed_server_and_a_good_one(
    house: House, settings: Settings
) -> None:
    found = doctor._keyring(settings)
    assert (found.light, found.says) == (
        Light.RED,
        "no credentials for engine, intake, operator, publisher",
    )
    give_all(settings)
    house.sealed = True
    assert doctor._keyring(settings).light is Light.RED
    house.sealed = False
    assert doctor._keyring(settings).light is Light.GREEN
    assert not house.sign_ins()


@pytest.mark.parametrize("address", ["http://10.0.0.1:8200", "ftp://vault", "vault:8200", "https://a b"])
def test_a_key_service_is_reached_by_tls_or_on_this_machine(address: str) -> None:
    with pytest.raises(ValueError, match="https"):
        KeySettings(address=address)


def test_approle_without_a_folder_of_logins_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="login_folder"):
        KeySettings(service="openbao")


def test_errors_of_signing_in_are_the_houses_own(settings: Settings) -> None:
    with pytest.raises(EnclaveError):
        open_keys(settings, Rights.OPERATOR)
