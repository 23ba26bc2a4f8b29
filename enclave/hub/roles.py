"""The house's roles in the hub's words: a group for each, written at login and refresh, and what its members may."""

from typing import Any

PAGES_SERVICE = "pages"
PAGES_CLIENT = "service-pages"
# Who may have a notebook server; which project is the house's question at each start.
NOTEBOOK_ROLES = frozenset({"researcher", "project_lead"})
ROLES = (
    "researcher", "project_lead", "steward", "senior_steward", "partner_delegate",
    "publisher", "auditor", "dpo", "intake_agent", "operator",
)  # fmt: skip

_OWN_SERVERS = ["servers!user", "access:servers!user"]


def hub_roles() -> list[dict[str, Any]]:
    """Give the hub's roles.

    The built-in role of every person is cut down to identifying oneself to the pages: no tokens, no shares,
    no lists of others. A notebook server comes with a role of the house.
    """
    everybody = {
        "name": "user",
        "scopes": [
            "read:users:name!user",
            "read:users:groups!user",
            "users:activity!user",
            f"access:services!service={PAGES_SERVICE}",
        ],
    }
    notebooks = {"name": "notebooks", "scopes": _OWN_SERVERS, "groups": sorted(NOTEBOOK_ROLES)}
    return [everybody, notebooks]
