"""Signing in through the hub (OAuth 2.0 with PKCE): the pages' only door to JupyterHub.

`HubOAuth` brings the hub's wire forms; state, cookie and verifier are ours, since its handlers are tornado's.
"""

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from enclave.errors import ComponentDown

BASE = "/enclave/"
CLIENT = "service-pages"
CALLBACK = f"{BASE}oauth_callback"
SCOPE = "access:services!service=pages"


class SignIn(Protocol):
    """What the pages need of whoever signs people in."""

    def authorize_url(self, state: str, challenge: str) -> str:
        """Give the address that starts a sign-in."""
        ...

    async def token(self, code: str, verifier: str) -> str:
        """Exchange the code that came back. Raises ComponentDown."""
        ...

    async def person(self, token: str) -> str | None:
        """Say whose token it is, or None once it was revoked. Raises ComponentDown."""
        ...


class HubSignIn:
    """The hub behind `hub.sock`; `token_file` is written by the hub when it starts for the first time."""

    def __init__(self, hub_socket: Path, token_file: Path) -> None:
        self._api_url = f"http+unix://{quote(str(hub_socket), safe='')}/hub/api"
        self._token_file = token_file
        self._known: Any = None

    def authorize_url(self, state: str, challenge: str) -> str:
        """Give the hub's authorize address (RFC 6749 §4.1.1, RFC 7636 §4.3), as the browser sees it."""
        query = {
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"/hub/api/oauth2/authorize?{urlencode(query)}"

    async def token(self, code: str, verifier: str) -> str:
        """Exchange the code for a token that stays on this side."""
        from tornado.web import HTTPError

        try:
            token: str = await self._oauth().token_for_code(code, code_verifier=verifier, sync=False)
        except (HTTPError, KeyError):
            raise _no_sign_in() from None
        return token

    async def person(self, token: str) -> str | None:
        """Ask the hub now, never a cache: a sign-out there ends the session here."""
        from tornado.web import HTTPError

        try:
            user = await self._oauth().user_for_token(token, use_cache=False, sync=False)
        except HTTPError:
            raise _no_sign_in() from None
        if user is None or not self._oauth().check_scopes({SCOPE}, user):
            return None
        return str(user["name"])

    def _oauth(self) -> Any:
        """Read the token at the first sign-in: the hub may start after the service."""
        from jupyterhub.services.auth import HubOAuth

        if self._known is None:
            try:
                token = self._token_file.read_text(encoding="ascii").strip()
            except OSError:
                raise _no_sign_in() from None
            self._known = HubOAuth(
                oauth_client_id=CLIENT,
                api_token=token,
                api_url=self._api_url,
                base_url=BASE,
                oauth_redirect_uri=CALLBACK,
                access_scopes={SCOPE},
            )
        return self._known


def new_verifier() -> str:
    """Make a PKCE verifier (RFC 7636 §4.1)."""
    return secrets.token_urlsafe(48)


def challenge(verifier: str) -> str:
    """Give its S256 challenge (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _no_sign_in() -> ComponentDown:
    return ComponentDown(
        "sign_in_failed", "The hub did not confirm who you are; nobody was signed in.", "Sign in again."
    )
