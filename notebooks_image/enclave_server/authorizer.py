"""What a person may do on a notebook server, by handler and action: everything not listed is refused."""

from collections.abc import Mapping
from typing import Any

from jupyterhub.singleuser.extension import JupyterHubAuthorizer

SERVER, LAB = "jupyter_server.services", "jupyterlab_server"

ALLOWED: Mapping[str, frozenset[str]] = {
    f"{SERVER}.api.handlers.APIStatusHandler": frozenset({"read"}),
    f"{SERVER}.api.handlers.IdentityHandler": frozenset({"read"}),
    f"{SERVER}.config.handlers.ConfigHandler": frozenset({"read"}),
    f"{SERVER}.contents.handlers.ContentsHandler": frozenset({"read", "write"}),
    f"{SERVER}.contents.handlers.CheckpointsHandler": frozenset({"read", "write"}),
    f"{SERVER}.contents.handlers.ModifyCheckpointsHandler": frozenset({"write"}),
    f"{SERVER}.contents.handlers.TrustNotebooksHandler": frozenset({"write"}),
    f"{SERVER}.events.handlers.SubscribeWebsocket": frozenset({"read", "execute"}),
    f"{SERVER}.kernels.handlers.MainKernelHandler": frozenset({"read", "write"}),
    f"{SERVER}.kernels.handlers.KernelHandler": frozenset({"read", "write"}),
    f"{SERVER}.kernels.handlers.KernelActionHandler": frozenset({"write"}),
    f"{SERVER}.kernels.websocket.KernelWebsocketHandler": frozenset({"execute"}),
    f"{SERVER}.kernelspecs.handlers.MainKernelSpecHandler": frozenset({"read"}),
    f"{SERVER}.kernelspecs.handlers.KernelSpecHandler": frozenset({"read"}),
    f"{SERVER}.sessions.handlers.SessionRootHandler": frozenset({"read", "write"}),
    f"{SERVER}.sessions.handlers.SessionHandler": frozenset({"read", "write"}),
    f"{LAB}.handlers.LabHandler": frozenset({"read"}),
    f"{LAB}.settings_handler.SettingsHandler": frozenset({"read", "write"}),
    f"{LAB}.themes_handler.ThemesHandler": frozenset({"read"}),
    f"{LAB}.translations_handler.TranslationsHandler": frozenset({"read"}),
    f"{LAB}.workspaces_handler.WorkspacesHandler": frozenset({"read", "write"}),
}


def is_listed(handler: type, action: str) -> bool:
    """Say whether this very handler, none derived from it, is listed with this action."""
    return action in ALLOWED.get(f"{handler.__module__}.{handler.__qualname__}", ())


class ListedHandlersOnly(JupyterHubAuthorizer):  # type: ignore[misc, unused-ignore]
    """The hub's own check of the person, then the list."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Allow when the hub says so and the list does."""
        if not is_listed(type(handler), action):
            self.log.warning("refused: %s on %s (%s)", action, type(handler).__name__, resource)
            return False
        return bool(super().is_authorized(handler, user, action, resource))
