"""Settings fail early and kindly: the message names the setting, never its value."""

from pathlib import Path

import pytest

from enclave.errors import BadInput
from enclave.settings import RUN_PATH_MAX, read_settings


@pytest.fixture(autouse=True)
def _no_inherited_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(__import__("os").environ):
        if name.startswith("ENCLAVE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "enclave.toml").write_text('bind = "127.0.0.1:9000"\n[intake]\nbuckets = 4\n')
    assert (read_settings().bind, read_settings().intake.buckets) == ("127.0.0.1:9000", 4)
    monkeypatch.setenv("ENCLAVE_BIND", "127.0.0.1:9001")
    monkeypatch.setenv("ENCLAVE_INTAKE__BUCKETS", "5")
    assert (read_settings().bind, read_settings().intake.buckets) == ("127.0.0.1:9001", 5)


@pytest.mark.parametrize(
    "name",
    [
        "ENCLAVE_BINDD",
        "ENCLAVE_TRAIL__ORIGINE",
        "ENCLAVE_TRAIL",
        "ENCLAVE_STATE__X",
        # a passphrase is never a variable
        "ENCLAVE_PASSPHRASE",
        "ENCLAVE_KEYS__PASSPHRASE",
        "ENCLAVE_KEYS_PASSPHRASE",
    ],
)
def test_an_unknown_variable_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "secret-value")
    with pytest.raises(BadInput) as refused:
        read_settings()
    assert name in refused.value.message
    assert "secret-value" not in refused.value.message


def test_an_unknown_key_of_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "enclave.toml").write_text("bnid = 'x'\n")
    with pytest.raises(BadInput, match="bnid"):
        read_settings()


def test_a_configuration_file_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCLAVE_CONFIG", "/nowhere/enclave.toml")
    with pytest.raises(BadInput, match="not there"):
        read_settings()


@pytest.mark.parametrize("run", ["/tmp/Upper", "/tmp/" + "x" * RUN_PATH_MAX])
def test_a_run_folder_that_sockets_do_not_fit_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, run: str
) -> None:
    monkeypatch.setenv("ENCLAVE_RUN", run)
    with pytest.raises(BadInput, match="run"):
        read_settings()


@pytest.mark.parametrize("bind", ["8800", "127.0.0.1", "127.0.0.1:99999999", "a b:80"])
def test_an_address_without_host_and_port_is_refused(monkeypatch: pytest.MonkeyPatch, bind: str) -> None:
    monkeypatch.setenv("ENCLAVE_BIND", bind)
    with pytest.raises(BadInput, match="bind"):
        read_settings()


def test_a_house_behind_tls_is_known_by_its_public_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings().origin == "http://127.0.0.1:8800"
    monkeypatch.setenv("ENCLAVE_PUBLIC_ORIGIN", "https://enclave.example.org")
    assert read_settings().origin == "https://enclave.example.org"
