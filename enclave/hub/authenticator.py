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


def hub_user(known: Known) -> dict[str, Any]:
    """Give the hub's record of a person: never an administrator, in the groups of their roles."""
    return {"name": known.person, "admin": False, "groups": sorted(known.roles & set(ROLES))}


def _is_plausible(person: str, password: str) -> bool:
    return ID.fullmatch(person) is not None and 0 < len(password) <= PASSWORD_CHARACTERS_MAX


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

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any]:  # noqa: ARG002
        """Check a password. Raises 401 for a wrong one, 503 when it cannot be checked or recorded."""
        person, password = data.get("username", ""), data.get("password", "")
        if not _is_plausible(person, password):
            raise HTTPError(401, str(words.LOGIN_REFUSED))
        try:
            known = await self.house.login(person, password)
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
