"""Every setting of the house, read once, with a kind refusal.

Order: environment `ENCLAVE_<SECTION>__<NAME>` wins over `enclave.toml` (path in `ENCLAVE_CONFIG`), which wins
over the defaults. Secrets come as files only (`*_file`). An unknown key is an error: a misspelt setting that
is silently ignored is how a safeguard gets lost.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from enclave.errors import BadInput

# A unix socket path holds 107 bytes; `n/<10 hex>/data/data.sock` and its like need the rest (interfaces 2).
RUN_PATH_MAX = 40
ENVIRONMENT_PREFIX = "ENCLAVE_"
CONFIG_VARIABLE = "ENCLAVE_CONFIG"
FROM_FILE: Final = "file"
_KEY_ADDRESS = re.compile(
    r"(https://[a-zA-Z0-9.:\[\]-]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?)/?"
)
_BIND = re.compile(r"(?P<host>[0-9a-zA-Z.:\[\]-]+):(?P<port>\d{1,5})")


def _run_folder(path: Path) -> Path:
    text = str(path)
    if len(text) > RUN_PATH_MAX or text != text.lower():
        raise ValueError(f"the run folder must be lower case and at most {RUN_PATH_MAX} characters")
    return path


def _bind_address(text: str) -> str:
    if _BIND.fullmatch(text) is None:
        raise ValueError("an address reads host:port, for example 127.0.0.1:8800")
    return text


def default_run_folder() -> Path:
    """Give the place of this user's sockets: short, private, outside any clone."""
    return Path(tempfile.gettempdir()) / f"enclave-{os.getuid()}"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _key_address(text: str) -> str:
    if _KEY_ADDRESS.fullmatch(text) is None:
        raise ValueError("the key service is reached by https (plain http on this machine's loopback only)")
    return text


class KeySettings(_Section):
    """`service`: the local keyring, or OpenBao/Vault.

    `passphrase_from`: what gives the passphrase that opens the keyring and the trail's keys: the file `passphrase_file`,
    a person at the terminal, or a credential of systemd.

    With `openbao`, `login_folder` holds for each process `<process>.role-id` and `<process>.secret-id`, or
    `<process>.wrapped-secret-id` (docs/keys.md).
    """

    passphrase_from: Literal["file", "prompt", "credential"] = FROM_FILE
    passphrase_file: Path | None = None
    service: Literal["keyring", "openbao"] = "keyring"
    address: Annotated[str, AfterValidator(_key_address)] = "https://127.0.0.1:8200"
    ca_file: Path | None = None
    login: Literal["approle", "kubernetes"] = "approle"
    login_folder: Path | None = None
    mount: str = Field("transit", pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    timeout_seconds: float = Field(5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _a_file_is_read_where_it_is_the_source(self) -> "KeySettings":
        if self.passphrase_file is not None and self.passphrase_from != FROM_FILE:
            raise ValueError('passphrase_file is read only where passphrase_from is "file"')
        return self

    @model_validator(mode="after")
    def _approle_has_a_folder(self) -> "KeySettings":
        if self.service == "openbao" and self.login == "approle" and self.login_folder is None:
            raise ValueError("with AppRole, login_folder names the folder of role ids and secret ids")
        return self


class TrailSettings(_Section):
    """`origin`: the log's public name, fixed for its life; verifiers refuse a log under another name.

    `witnesses`: `VKEY URL` each; `quorum`: how many must agree (0: all); `stamp_url`, `stamp_roots_file`: a
    time-stamping authority and what its stamps lead to; `confirm_seconds`: how often all of them are asked.
    `access_days`, `decision_years`: how long details of persons are kept (`audit.retention`); more than 365 days take
    a `retention_reason`, a code that goes into the trail. `review_days`: how long what deserves a look may wait.
    `second_signature`: sign published checkpoints with ML-DSA-44 too.
    """

    origin: str = Field("enclave.example/trail", pattern=r"^[!-*,-~]{3,120}$")
    timeout_seconds: float = Field(2.0, gt=0, le=30)
    witnesses: tuple[Annotated[str, Field(pattern=r"^\S+ https?://\S+$")], ...] = ()
    quorum: int = Field(0, ge=0, le=15)
    stamp_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    stamp_roots_file: Path | None = None
    confirm_seconds: int = Field(3_600, ge=60)
    access_days: int = Field(365, ge=365, le=3_650)
    decision_years: int = Field(10, ge=1, le=50)
    retention_reason: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_.-]{0,63})?$")] = ""
    review_days: int = Field(30, ge=1, le=366)
    second_signature: bool = False


class NotebookSettings(_Section):
    """`venv`, `code`: bound read-only into every sandbox; `output_bytes_per_day`: per person, towards the browser."""

    venv: Path = Path(".venv-notebook")
    code: Path = Path("notebooks_image")
    output_bytes_per_day: int = Field(50_000_000, ge=1_000_000)


class IntakeSettings(_Section):
    """`buckets`: least parts of a version; `bad_rows_max_percent`, `unpacked_gb_max`: above them a file is refused."""

    buckets: int = Field(8, ge=1, le=256)
    bad_rows_max_percent: int = Field(10, ge=0, le=100)
    unpacked_gb_max: int = Field(100, ge=1, le=10_000)


class WarmSettings(_Section):
    """Decrypted columns the engine keeps in its memory: `seconds` long, `megabytes` of them at most; 0 keeps none."""

    seconds: int = Field(900, ge=0, le=86_400)
    megabytes: int = Field(1024, ge=0)


class AnswerSettings(_Section):
    """`slot_seconds`: an answer comes at the end of the first slot, or of the second, twice as long, and so on."""

    slot_seconds: float = Field(0.25, ge=0.05, le=60)


class Settings(BaseSettings):
    """Where the house lives and how it behaves."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    state: Path = Path(".enclave")
    run: Annotated[Path, AfterValidator(_run_folder)] = Field(default_factory=default_run_folder)
    bind: Annotated[str, AfterValidator(_bind_address)] = "127.0.0.1:8800"
    # What browsers see where TLS ends in front of the gateway; cookies are for TLS only when it is https.
    public_origin: Annotated[str, Field(pattern=r"^(https?://[a-z0-9.:\[\]-]+)?$")] = ""
    keys: KeySettings = KeySettings()
    trail: TrailSettings = TrailSettings()
    notebook: NotebookSettings = NotebookSettings()
    intake: IntakeSettings = IntakeSettings()
    warm: WarmSettings = WarmSettings()
    answers: AnswerSettings = AnswerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, then the file named by `ENCLAVE_CONFIG` (or `enclave.toml` here)."""
        file = Path(os.environ.get(CONFIG_VARIABLE, "enclave.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)

    @property
    def origin(self) -> str:
        """Where browsers go."""
        return self.public_origin or f"http://{self.bind}"

    @property
    def host_port(self) -> tuple[str, int]:
        """The one listener's address, in two parts."""
        found = _BIND.fullmatch(self.bind)
        assert found is not None  # noqa: S101 - the validator let nothing else through
        return found["host"].strip("[]"), int(found["port"])

    def socket(self, name: str) -> Path:
        """Give the path of a process's socket in the run folder."""
        return self.run / f"{name}.sock"

    @property
    def passphrase_file(self) -> Path:
        """The file that opens the keyring; beside the keyring unless the settings name a better place."""
        return self.keys.passphrase_file or self.state / "keys" / "passphrase"


def key_environment(settings: Settings) -> dict[str, str]:
    """Give the settings of keys under the names a child reads them by."""
    keys = settings.keys
    if keys.passphrase_from == FROM_FILE:
        keys = keys.model_copy(update={"passphrase_file": settings.passphrase_file})
    told = keys.model_dump(exclude_none=True)
    return {
        f"ENCLAVE_KEYS__{name.upper()}": str(value.absolute() if isinstance(value, Path) else value)
        for name, value in told.items()
    }


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    unknown = []
    for variable in environment:
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        section, _, name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        model = sections.get(section)
        fields: dict[str, Any] = getattr(model, "model_fields", {})
        if model is None or bool(name) != bool(fields) or (name and name not in fields):
            unknown.append(variable)
    return unknown


def read_settings(**given: object) -> Settings:
    """Read the settings once, and say kindly what is wrong with them.

    Raises `BadInput` that names the setting, never its value.
    """
    file = os.environ.get(CONFIG_VARIABLE)
    if file is not None and not Path(file).is_file():
        raise BadInput(
            "settings_file_missing", f"{CONFIG_VARIABLE} names a file that is not there.", "Correct the path."
        )
    unknown = _unknown_variables(os.environ)
    if unknown:
        names = ", ".join(sorted(unknown))
        raise BadInput(
            "setting_unknown",
            f"No such setting: {names}.",
            "See docs/settings.md for the list.",
            setting=names,
        )
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # checked by pydantic, field by field
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "file"
        raise BadInput(
            "setting_wrong",
            f"The setting `{name}` cannot be used: {first['msg']}.",
            "Correct it in enclave.toml or in the environment.",
            setting=name,
        ) from None
    return settings.model_copy(update={"state": settings.state.absolute(), "run": settings.run.absolute()})
