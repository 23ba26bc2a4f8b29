"""The house has its trail confirmed by whom the settings name, and judges it by what they hold."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from audit.checkpoint import Signer
from audit.confirmations import Trusted
from audit.cosignature import witness_key
from audit.errors import BadInput
from enclave.doctor import Light, examine
from enclave.errors import ComponentDown
from enclave.journeys.scrutiny import trusted
from enclave.settings import Settings, TrailSettings
from enclave.supervisor import components

KEY = witness_key(Signer("witness.example/one", Ed25519PrivateKey.generate()))
WITNESS = f"{KEY.vkey()} https://witness.example"


def commands(**trail: object) -> dict[str, tuple[str, ...]]:
    settings = Settings(state=Path("/srv/e"), run=Path("/run/e"), trail=TrailSettings.model_validate(trail))
    return {one.name: one.command for one in components(settings)}


def test_without_anybody_to_ask_nobody_is_asked() -> None:
    assert "confirmer" not in commands()


def test_witnesses_and_stamps_are_asked_by_a_process_of_its_own() -> None:
    command = commands(witnesses=[WITNESS], stamp_url="https://tsa.example/tsr", confirm_seconds=600)[
        "confirmer"
    ]
    assert command[command.index("confirm") + 1] == "/srv/e/trail"
    assert command[-4:] == ("--witness", WITNESS, "--stamp", "https://tsa.example/tsr")
    assert command[command.index("--every") + 1] == "600"


def test_what_the_house_trusts_is_what_the_settings_say(tmp_path: Path) -> None:
    assert trusted(TrailSettings()) == Trusted()
    assert trusted(TrailSettings(witnesses=(WITNESS,), quorum=1)) == Trusted((KEY,), 1)
    with pytest.raises(BadInput):
        trusted(TrailSettings(witnesses=(WITNESS,), quorum=2))
    with pytest.raises(ComponentDown):
        trusted(TrailSettings(stamp_roots_file=tmp_path / "nothing.pem"))
    with pytest.raises(ValidationError):
        TrailSettings(witnesses=("no address",))


def test_the_doctor_says_when_nobody_outside_confirms_the_trail(tmp_path: Path) -> None:
    def light(**trail: object) -> Light:
        settings = Settings(state=tmp_path, run=Path("/run/e"), trail=TrailSettings.model_validate(trail))
        return next(one.light for one in examine(settings) if one.check == "witness")

    assert (light(), light(witnesses=[WITNESS])) == (Light.AMBER, Light.GREEN)
