"""Who a person is, and with which roles: asked of the house at login and again before every request."""

from typing import Any

from jupyterhub.auth import Authenticator
from tornado.web import HTTPError
from traitlets import Unicode

from enclave.errors import ComponentDown, EnclaveError
from enclave.hub import words
from enclave.hub.allowed import ID
from enclave.hub.house import House, Known, house_at
from enclave.hub.roles import ROLES

# An argument longer than this is nobody's; it is not worth a password hash.
PASSWORD_CHARACTERS_MAX = 1024
# What the house takes of where somebody came from (`enclave.web.internal`).
CLIENT_CHARACTERS_MAX, BROWSER_CHARACTERS_MAX = 64, 256


def hub_user(known: Known) -> dict[str, Any]:
    """Give the hub's record of a person: never an administrator, in the groups of their roles."""
    return {"name": known.person, "admin": False, "groups": sorted(known.roles & set(ROLES))}


def _is_plausible(person: str, password: str) -> bool:
    return ID.fullmatch(person) is not None and 0 < len(password) <= PASSWORD_CHARACTERS_MAX


def seen_from(request: Any) -> tuple[str, str]:
    """Give the client's address, as the gateway tells it, and what the browser calls itself."""
    browser = str(request.headers.get("User-Agent", ""))
    return str(request.remote_ip or "")[:CLIENT_CHARACTERS_MAX], browser[:BROWSER_CHARACTERS_MAX]


class HouseAuthenticator(Authenticator):
    """The house's accounts behind the hub's login form."""

    house_socket = Unicode(config=True, help="the service's internal socket")

    @property
    def house(self) -> House:
        """The house's internal API."""
        return house_at(self.house_socket)

    def normalize_username(self, username: str) -> str:
        """Take a name as it is typed: the house's ids have one spelling."""
        return username

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any]:
        """Check a password. Raises 401 for a wrong one, 503 when it cannot be checked or recorded."""
        person, password = data.get("username", ""), data.get("password", "")
        if not _is_plausible(person, password):
            raise HTTPError(401, str(words.LOGIN_REFUSED))
        try:
            known = await self.house.login(person, password, *seen_from(handler.request))
        except ComponentDown:
            raise HTTPError(503, str(words.HOUSE_DOWN)) from None
        except EnclaveError:
            raise HTTPError(401, str(words.LOGIN_REFUSED)) from None
        return hub_user(known)

    async def refresh_user(self, user: Any, handler: Any = None) -> dict[str, Any] | bool:  # noqa: ARG002
        """Read the person again; False, hence out, when the house no longer knows them."""
        try:
            known = await self.house.person(str(user.name))
        except ComponentDown:
            raise HTTPError(503, str(words.HOUSE_DOWN)) from None
        except EnclaveError:
            return False
        return hub_user(known)
