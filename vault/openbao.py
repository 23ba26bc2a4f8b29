"""The one door to an OpenBao or Vault server: signs in, keeps its token alive, tries again where that can help.

Fails closed: sealed, unreachable, slow, untrusted or denied, each is an error that says which, and nothing was done.
A key, a token or a secret id is in no message.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import hvac
import requests
from hvac import exceptions as answers

from vault.errors import VaultDown, VaultRefused

# Seconds before the second, third and fourth try, each with jitter; a refusal (403) is never tried again.
PAUSES: Final = (0.1, 0.3, 0.9)
RENEW_AT: Final = 2 / 3  # of the lease
# A renewed lease shorter than this share of the first one nears the token's end: sign in anew.
WORTH_KEEPING: Final = 1 / 2
SECRET_ID_PATH: Final = re.compile(r"auth/[a-z0-9_/-]+/role/[\w.-]+/secret-id")
TOKEN_BYTES_MAX: Final = 16 * 1024
NO_CONTENT: Final = 204

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Server:
    """Where the key service is; `ca_file` is the authority its certificate must come from (else the system's)."""

    address: str
    ca_file: Path | None = None
    timeout_seconds: float = 5.0

    def client(self, token: str = "") -> hvac.Client:
        """Give a client that takes nothing from the environment and follows no redirect with its token."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self.ca_file) if self.ca_file is not None else True
        return hvac.Client(
            url=self.address,
            token=token,
            verify=session.verify,
            session=session,
            timeout=self.timeout_seconds,  # type: ignore[arg-type]  # requests takes fractions
            allow_redirects=False,
        )


class Login(Protocol):
    """A way to sign in."""

    def sign_in(self, client: hvac.Client) -> Any:
        """Give the server's answer, whose "auth" holds a token."""
        ...


@dataclass(frozen=True)
class AppRole:
    """A role id and its secret id: for a machine."""

    role_id: str
    secret_id: str
    mount: str = "approle"

    def __repr__(self) -> str:
        return "AppRole(...)"

    def sign_in(self, client: hvac.Client) -> Any:
        """Sign in by AppRole."""
        return client.auth.approle.login(
            self.role_id, self.secret_id, use_token=False, mount_point=self.mount
        )


@dataclass(frozen=True)
class Kubernetes:
    """A role and the pod's own token, read again at each sign-in because the cluster renews it."""

    role: str
    token_file: Path
    mount: str = "kubernetes"

    def sign_in(self, client: hvac.Client) -> Any:
        """Sign in with the pod's service account."""
        try:
            token = self.token_file.read_text().strip()[:TOKEN_BYTES_MAX]
        except (OSError, UnicodeDecodeError):
            raise VaultDown(
                "key_login_missing",
                "The pod's service account token cannot be read.",
                "Mount a service account token into the pod.",
            ) from None
        return client.auth.kubernetes.login(self.role, token, use_token=False, mount_point=self.mount)


class NotAcceptedError(Exception):
    """The server could not accept a request; `said` tells cases apart and is never shown."""

    def __init__(self, said: str) -> None:
        super().__init__("not accepted")
        self.said = said


class Connection:
    """Requests to the server, one at a time, each under a token that lives."""

    def __init__(
        self,
        server: Server,
        login: Login,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = server.client()
        self._login = login
        self._clock = clock
        self._sleep = sleep
        self._mutex = threading.Lock()
        self._first_lease = 0.0
        self._renew_at: float | None = None  # None: no token, or one without an end

    def read(self, path: str) -> dict[str, Any] | None:
        """Give what lies at a path, or None where nothing does."""
        return self._asked_for(lambda: self._client.adapter.get(f"/v1/{path}"))

    def list(self, path: str) -> list[str]:
        """Give the names below a path."""
        found = self._asked_for(lambda: self._client.adapter.list(f"/v1/{path}"))
        return [] if found is None else [str(name) for name in field(found, "keys")]

    def write(self, path: str, body: Body) -> dict[str, Any]:
        """Send a body to a path, and give the answer's data; raises `NotAcceptedError` where it does not fit."""
        try:
            answer = self._signed_in(lambda: self._client.adapter.post(f"/v1/{path}", json=dict(body)))
        except (answers.InvalidRequest, answers.InvalidPath) as error:
            raise NotAcceptedError(str(error.text)) from None
        return _data(answer)

    def delete(self, path: str) -> None:
        """Remove what lies at a path."""
        self._signed_in(lambda: self._client.adapter.delete(f"/v1/{path}"))

    def _asked_for(self, ask: Callable[[], Any]) -> dict[str, Any] | None:
        try:
            return _data(self._signed_in(ask))
        except answers.InvalidPath:
            return None

    def _signed_in(self, ask: Callable[[], Any]) -> Any:
        with self._mutex:
            self._have_token()
            try:
                return self._tried(ask)
            except answers.Forbidden:
                if self._token_lives():
                    raise _denied() from None
                self._sign_in()
            try:
                return self._tried(ask)
            except answers.Forbidden:
                raise _denied() from None

    def _token_lives(self) -> bool:
        """Tell whether the token or the policy said no: a token that ended may not even look at itself."""
        try:
            self._tried(self._client.auth.token.lookup_self)
        except answers.Forbidden:
            return False
        return True

    def _have_token(self) -> None:
        if not self._client.token:
            self._sign_in()
        elif self._renew_at is not None and self._clock() >= self._renew_at:
            self._renew()

    def _renew(self) -> None:
        try:
            lease = self._keep(self._tried(self._client.auth.token.renew_self))
        except (answers.Forbidden, answers.InvalidRequest):
            lease = 0.0
        if lease < self._first_lease * WORTH_KEEPING:
            self._sign_in()

    def _sign_in(self) -> None:
        self._client.token = ""
        try:
            answer = self._tried(lambda: self._login.sign_in(self._client))
        except (answers.Forbidden, answers.InvalidRequest, answers.Unauthorized):
            raise VaultRefused(
                "key_login_refused",
                "The key service does not accept this process's credentials.",
                "Give it a new secret id (docs/keys.md), and look for who used the old one.",
            ) from None
        self._first_lease = self._keep(answer)

    def _keep(self, answer: Any) -> float:
        auth = field(answer, "auth")
        self._client.token = str(field(auth, "client_token"))
        lease = float(field(auth, "lease_duration"))
        self._renew_at = self._clock() + lease * RENEW_AT if lease else None
        return lease

    def _tried(self, ask: Callable[[], Any]) -> Any:
        return try_again(ask, self._sleep)


def try_again(ask: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> Any:
    """Ask, and ask again after a connection error, 429, 502 or 503, three times more.

    Raises `VaultDown` when it does not help, and lets hvac's word for every other refusal through.
    """
    for pause in PAUSES:
        try:
            return _once(ask)
        except _Passing:
            sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, not a secret
    try:
        return _once(ask)
    except _Passing as last:
        raise last.told from None


class _Passing(Exception):
    """Something that may be over in a moment."""

    def __init__(self, told: VaultDown) -> None:
        super().__init__(told.message)
        self.told = told


def _once(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except requests.exceptions.SSLError:
        raise _down(
            "key_service_untrusted", "shows a certificate this house does not trust", "Check keys.ca_file."
        ) from None
    except requests.exceptions.Timeout:
        raise _down(
            "key_service_slow", "did not answer in time", "Look at its load and its audit devices."
        ) from None
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
        raise _Passing(
            _down("key_service_unreachable", "cannot be reached", "Check its address and the network.")
        ) from None
    except requests.exceptions.RequestException:
        raise unreadable() from None
    except (answers.RateLimitExceeded, answers.BadGateway, answers.VaultDown) as error:
        raise _Passing(_busy(error)) from None
    except (answers.InternalServerError, answers.VaultNotInitialized, answers.UnexpectedError):
        raise _down("key_service_failed", "failed while it answered", "Look at its log.") from None


def _busy(error: answers.VaultError) -> VaultDown:
    if isinstance(error, answers.VaultDown) and "sealed" in (error.text or "").lower():
        return _sealed()
    return _down("key_service_busy", "has no time", "Try again later, or look at its rate limits.")


def _sealed() -> VaultDown:
    return _down("key_service_sealed", "is sealed", "Unseal it; until then nothing can be opened.")


def _down(code: str, what: str, to_do: str) -> VaultDown:
    return VaultDown(code, f"The key service {what}; nothing was done.", to_do)


def _denied() -> VaultRefused:
    return VaultRefused(
        "key_right_refused",
        "The key service refused: this process has no right to that key.",
        "Ask the process that has it, or compare the policies with vault/policies.",
    )


def check_open(server: Server) -> None:
    """Check that the server answers and is unsealed, without signing in; raises `VaultDown`."""
    answer = try_again(server.client().sys.read_seal_status)
    if field(answer, "sealed"):
        raise _sealed()


def unwrap_secret_id(server: Server, wrapping_token: str) -> str:
    """Give the secret id a response-wrapping token stands for; a token opens once, so a second use shows a theft.

    Raises `VaultRefused` when it was used already, has expired, or does not wrap a secret id.
    """
    client = server.client(wrapping_token)
    try:
        about = try_again(
            lambda: client.adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapping_token})
        )
        if SECRET_ID_PATH.fullmatch(str(field(_data(about), "creation_path"))) is None:
            raise _spent("does not wrap a secret id")
        return str(field(_data(try_again(client.sys.unwrap)), "secret_id"))
    except (answers.InvalidRequest, answers.Forbidden):
        raise _spent("was used already, or has expired") from None


def _spent(what: str) -> VaultRefused:
    return VaultRefused(
        "wrapped_secret_refused",
        f"The wrapped secret id {what}.",
        "If nobody here used it, somebody else did: destroy that secret id, then make a new one.",
    )


def field(answer: Any, name: str) -> Any:
    """Give a field of the server's answer; raises `VaultDown` where it has none."""
    if not isinstance(answer, Mapping) or answer.get(name) is None:
        raise unreadable()
    return answer[name]


def unreadable() -> VaultDown:
    """Give the error of an answer that is not the key service's."""
    return _down(
        "key_service_unreadable",
        "gave an answer of another form",
        "Check that the address is OpenBao's or Vault's.",
    )


def _data(answer: Any) -> dict[str, Any]:
    if getattr(answer, "status_code", None) == NO_CONTENT:
        return {}
    return dict(field(answer, "data"))
