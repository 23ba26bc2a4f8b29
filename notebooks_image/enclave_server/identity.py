"""Who is at the notebook server: the hub's answer, without a token in the page that a cell's script could read."""

from typing import Any

from jupyterhub.singleuser.extension import JupyterHubIdentityProvider


class NoTokenInPage(JupyterHubIdentityProvider):  # type: ignore[misc, unused-ignore]
    """JupyterLab speaks to its server by cookie, which no script can read."""

    def page_config_hook(self, handler: Any, page_config: dict[str, Any]) -> dict[str, Any]:
        """Give JupyterLab its settings, the token left empty."""
        settings: dict[str, Any] = super().page_config_hook(handler, page_config)
        return {**settings, "token": ""}
