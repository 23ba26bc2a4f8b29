"""The doctor says in one line what is wrong and what to do, and red keeps the house shut."""

import ast
import socket
from pathlib import Path
from string import Formatter

import pytest

from enclave import doctor, messages, passphrase
from enclave.doctor import Finding, Light, examine, refuse_on_red, spoken
from enclave.errors import Refused
from enclave.settings import KeySettings, Settings
from enclave.wiring import prepare_state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        state=tmp_path / "state", run=Path(f"/tmp/{tmp_path.name.lower()[:20]}"), bind="127.0.0.1:0"
    )


def found(settings: Settings, check: str) -> Finding:
    return next(one for one in examine(settings) if one.check == check)


def test_every_check_that_is_not_green_says_what_to_do(settings: Settings) -> None:
    for finding in examine(settings):
        assert finding.says
        assert finding.light is Light.GREEN or finding.to_do, finding.check


def test_a_state_folder_open_to_others_is_red(settings: Settings) -> None:
    settings.state.mkdir(mode=0o755)
    settings.state.chmod(0o755)
    assert found(settings, "state folder").light is Light.RED


def test_a_taken_address_is_red_and_named(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = settings.model_copy(update={"bind": f"127.0.0.1:{taken.getsockname()[1]}"})
        finding = found(busy, "address")
    assert (finding.light, busy.bind in finding.says) == (Light.RED, True)


def test_a_notebook_environment_of_another_hub_is_red(settings: Settings, tmp_path: Path) -> None:
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "jupyterhub-1.0.dist-info"
    packages.mkdir(parents=True)
    notebook = settings.notebook.model_copy(update={"venv": tmp_path / "venv"})
    finding = found(settings.model_copy(update={"notebook": notebook}), "notebook environment")
    assert (finding.light, "1.0" in finding.says) == (Light.RED, True)


def test_a_run_folder_that_is_a_link_is_red(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    settings.run.unlink(missing_ok=True)
    settings.run.symlink_to(tmp_path / "elsewhere")
    try:
        assert found(settings, "run folder").light is Light.RED
    finally:
        settings.run.unlink()


def test_an_unknown_machine_is_red(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.platform, "machine", lambda: "riscv64")
    assert found(settings, "machine").light is Light.RED


def test_a_disk_almost_full_is_red(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DISK_RED_BYTES", 1 << 62)
    assert found(settings, "disk").light is Light.RED


@pytest.mark.parametrize(
    ("source", "tried", "says"),
    [
        ("file", "keyring_opens", "passphrase_beside"),
        ("prompt", "keyring_not_tried", "passphrase_asked"),
        ("credential", "keyring_not_tried", "passphrase_credential"),
    ],
)
def test_the_source_of_the_passphrase_is_told_and_nobody_is_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, source: str, tried: str, says: str
) -> None:
    monkeypatch.setattr(passphrase, "getpass", lambda _: pytest.fail("asked"))
    monkeypatch.delenv(passphrase.CREDENTIALS_FOLDER, raising=False)
    prepare_state(settings)
    keys = KeySettings(passphrase_from=source)
    told = settings.model_copy(update={"keys": keys})
    assert (found(told, "keyring").code, found(told, "passphrase").code) == (tried, says)


def test_inside_its_unit_a_credential_that_does_not_open_is_red(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepare_state(settings)
    monkeypatch.setenv(passphrase.CREDENTIALS_FOLDER, str(tmp_path))
    told = settings.model_copy(update={"keys": KeySettings(passphrase_from="credential")})
    assert found(told, "keyring").code == "credential_missing"
    (tmp_path / passphrase.CREDENTIAL).write_bytes(settings.passphrase_file.read_bytes())
    (tmp_path / passphrase.CREDENTIAL).chmod(0o400)
    assert found(told, "keyring").code == "keyring_opens"


def test_a_passphrase_on_another_volume_is_green(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_state(settings)
    elsewhere = KeySettings(passphrase_file=Path("/proc/self/fd/passphrase"))
    assert found(settings.model_copy(update={"keys": elsewhere}), "passphrase").code == "passphrase_apart"


def test_one_red_check_keeps_the_house_shut_and_amber_does_not() -> None:
    amber, red = (
        Finding("volume", Light.AMBER, "volume_plain", "plain", "LUKS"),
        Finding("sandbox", Light.RED, "no_bubblewrap", "none", "install"),
    )
    refuse_on_red([amber])
    with pytest.raises(Refused, match="sandbox"):
        refuse_on_red([amber, red])


def test_every_finding_is_told_in_french_with_what_it_gives() -> None:
    """Read from the source, so that findings this machine cannot make are looked at too."""
    french = messages.catalogue("fr")["doctor"]
    seen = set()
    for node in ast.walk(ast.parse(Path(doctor.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_green", "_amber", "_red"}:
            check, code = (arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant))
            asked = {
                name for part in french["found"][code] for _, name, _, _ in Formatter().parse(part) if name
            }
            assert asked <= {word.arg for word in node.keywords}, code
            assert check in french["check"]
            seen.add(code)
    assert seen == set(french["found"])


def test_a_refusal_the_doctor_meets_is_told_in_french_too(settings: Settings) -> None:
    settings.run.mkdir(mode=0o755)
    settings.run.chmod(0o755)
    finding = found(settings, "run folder")
    settings.run.rmdir()
    check, says, to_do = spoken(finding, "fr")
    assert (check, str(settings.run) in says) == ("dossier des sockets", True)
    assert "ENCLAVE_RUN" in to_do
    assert spoken(finding, "en") == ("run folder", finding.says, finding.to_do)
