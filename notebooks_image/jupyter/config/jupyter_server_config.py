# ruff: noqa: INP001 - a configuration file, not a module
"""How the notebook server runs in its sandbox. Read from JUPYTER_CONFIG_PATH; a person's own configuration is not."""

from typing import Any

from traitlets.config import get_config

c: Any = get_config()  # type: ignore[no-untyped-call, unused-ignore]

# Requests and saves name files, and a file's name can say whose data it holds.
c.Application.log_level = "WARN"

# One unix socket, in the one folder the gateway can reach.
c.ServerApp.sock = "/run/nb/nb.sock"
c.ServerApp.sock_mode = "0600"
c.ServerApp.cookie_secret_file = "/home/analyst/cookie_secret"  # noqa: S105 - a file's name
c.ServerApp.allow_unauthenticated_access = False
c.ServerApp.terminals_enabled = False
c.ServerApp.reraise_server_extension_failures = True
c.ServerApp.authenticate_prometheus = True
c.ServerApp.tornado_settings = {
    "websocket_ping_interval": 30,
    "websocket_ping_timeout": 30,
    "compress_response": False,
}

c.ServerApp.authorizer_class = "notebooks_image.enclave_server.authorizer.ListedHandlersOnly"
c.ServerApp.contents_manager_class = "notebooks_image.enclave_server.contents.SourceOnlyContents"

# Kernels: one specification, one launcher, unix sockets only.
c.KernelSpecManager.ensure_native_kernel = False
c.KernelSpecManager.allowed_kernelspecs = {"enclave"}
c.MultiKernelManager.default_kernel_name = "enclave"
c.MultiKernelManager.kernel_manager_class = "notebooks_image.enclave_server.kernels.KernelInItsOwnFolder"
c.KernelManager.transport = "ipc"
c.AsyncMappingKernelManager.allow_tracebacks = True
c.ZMQChannelsWebsocketConnection.limit_rate = True

# The hub is asked again at the latest after so many seconds whether a cookie still holds.
c.HubOAuth.cache_max_age = 10

c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
