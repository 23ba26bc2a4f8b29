"""The hub's configuration: `python -m jupyterhub -f <this file>`, started by the supervisor.

Environment: ENCLAVE_STATE, ENCLAVE_RUN, ENCLAVE_BIND, ENCLAVE_NOTEBOOK_VENV, ENCLAVE_NOTEBOOK_CODE,
ENCLAVE_OUTPUT_BYTES_PER_DAY, and ENCLAVE_PUBLIC_ORIGIN where browsers reach the gateway under another name.
"""

import os
import secrets
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from traitlets.config import get_config

from enclave.hub.authenticator import HouseAuthenticator
from enclave.hub.gateway import HOME_PAGE, Gateway
from enclave.hub.roles import PAGES_CLIENT, PAGES_SERVICE, hub_roles
from enclave.hub.spawner import SandboxSpawner, make_private_folder

c: Any = get_config()  # type: ignore[no-untyped-call, unused-ignore]

if os.geteuid() == 0:
    # The sandbox of a root process maps to root: a new /proc cannot be mounted in the kernel's sandbox then,
    # and nobody should want it to be.
    sys.exit("The hub does not run as root: start it as the service's own user.")

os.umask(0o077)

state = Path(os.environ["ENCLAVE_STATE"]).absolute()
run = Path(os.environ["ENCLAVE_RUN"]).absolute()
bind = os.environ.get("ENCLAVE_BIND", "127.0.0.1:8800")
origin = os.environ.get("ENCLAVE_PUBLIC_ORIGIN", f"http://{bind}")
venv = Path(os.environ["ENCLAVE_NOTEBOOK_VENV"]).absolute()
code = Path(os.environ["ENCLAVE_NOTEBOOK_CODE"]).absolute()
output_budget = int(os.environ.get("ENCLAVE_OUTPUT_BYTES_PER_DAY", "50000000"))

own = make_private_folder(state / "hub")
logs = make_private_folder(state / "logs")
hub_dir = make_private_folder(run / "h")
hub_url = "http+unix://" + quote(str(hub_dir / "hub.sock"), safe="")


def pages_token(file: Path) -> str:
    """Read the pages' hub token, made on first start."""
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
    return file.read_text().strip()


house_socket = str(run / "house.sock")

c.JupyterHub.bind_url = f"http://{bind}"
c.JupyterHub.hub_bind_url = f"{hub_url}/hub/"
c.JupyterHub.hub_connect_url = hub_url
c.JupyterHub.db_url = f"sqlite:///{own}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(own / "cookie_secret")
c.JupyterHub.cleanup_servers = True
c.JupyterHub.admin_access = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.redirect_to_server = False
c.JupyterHub.default_url = HOME_PAGE
c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates")]
c.JupyterHub.authenticate_prometheus = True
c.JupyterHub.cookie_max_age_days = 0.5
c.JupyterHub.tornado_settings = {"cookie_options": {"SameSite": "Lax"}}
c.JupyterHub.log_level = "INFO"

c.JupyterHub.authenticator_class = HouseAuthenticator
c.HouseAuthenticator.house_socket = house_socket
c.HouseAuthenticator.manage_groups = True
c.HouseAuthenticator.allow_all = True  # who may enter is the house's answer to the login
c.HouseAuthenticator.username_pattern = r"^[a-z][a-z0-9-]{0,29}$"
c.HouseAuthenticator.auth_refresh_age = 1
c.HouseAuthenticator.auth_refresh_strict = True
c.HouseAuthenticator.refresh_pre_spawn = True

c.JupyterHub.load_roles = hub_roles()
c.JupyterHub.services = [
    {
        "name": PAGES_SERVICE,
        "api_token": pages_token(own / "pages-token"),
        "oauth_client_id": PAGES_CLIENT,
        "oauth_redirect_uri": "/enclave/oauth_callback",
        "oauth_no_confirm": True,
        "display": False,
    }
]

c.JupyterHub.spawner_class = SandboxSpawner
c.SandboxSpawner.house_socket = house_socket
c.SandboxSpawner.hub_dir = str(hub_dir)
c.SandboxSpawner.venv = str(venv)
c.SandboxSpawner.code = str(code)
c.SandboxSpawner.logs = str(logs)
c.SandboxSpawner.env_keep = []
c.SandboxSpawner.disable_user_config = True
c.SandboxSpawner.http_timeout = 60
c.SandboxSpawner.start_timeout = 90
c.SandboxSpawner.poll_interval = 5

c.JupyterHub.proxy_class = Gateway
c.Gateway.house_socket = house_socket
c.Gateway.venv = str(venv)
c.Gateway.count_file = str(own / "output-bytes.json")
c.Gateway.output_bytes_per_day = output_budget
c.Gateway.pages_socket = str(run / "enclave.sock")
c.Gateway.origin = origin
