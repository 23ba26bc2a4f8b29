"""What a kernel's sandbox is given, and that the notebook environment holds what the lists name."""

import json
import subprocess
from pathlib import Path

import pytest

from notebooks_image.enclave_server.kernel_launcher import ENVIRONMENT, message_folder, sandbox_arguments
from notebooks_image.enclave_server.seccomp import UnknownMachineError
from tests.places import NOTEBOOK_VENV, ROOT

NOTEBOOK_PYTHON = NOTEBOOK_VENV / "bin" / "python"
CONNECTION = Path("/run/rt/k/kernel.json")


def bound(arguments: list[str], option: str) -> set[str]:
    return {arguments[at + 1] for at, argument in enumerate(arguments) if argument == option}


def test_a_kernel_writes_in_its_project_and_its_message_folder_only() -> None:
    arguments = sandbox_arguments(CONNECTION, Path("/project/sub"), "x86_64")
    assert bound(arguments, "--bind") == {"/project", str(message_folder(CONNECTION))}
    assert bound(arguments, "--chdir") == {"/project/sub"}


def test_a_kernel_sees_nothing_of_the_server() -> None:
    arguments = sandbox_arguments(CONNECTION, Path("/project"), "x86_64")
    seen = bound(arguments, "--ro-bind") | bound(arguments, "--ro-bind-try") | bound(arguments, "--bind")
    assert not [path for path in seen if path.startswith(("/run/hub", "/run/nb", "/etc"))]
    assert "/run/rt" not in seen
    assert "--seccomp" in arguments
    assert {"--disable-userns", "--unshare-net", "--new-session", "--die-with-parent"} <= set(arguments)
    assert not [name for name in ENVIRONMENT if "TOKEN" in name or "JUPYTERHUB" in name]


def test_no_filter_no_kernel() -> None:
    with pytest.raises(UnknownMachineError):
        sandbox_arguments(CONNECTION, Path("/project"), "riscv64")


def in_notebook(code: str) -> str:
    """Run code in the notebook environment, where the server's libraries are."""
    command = [NOTEBOOK_PYTHON, "-P", "-c", code]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
        cwd="/",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_listed_handler_exists() -> None:
    code = """
import importlib, json
from notebooks_image.enclave_server.authorizer import ALLOWED, is_listed
missing = []
for name, actions in ALLOWED.items():
    module, _, handler = name.rpartition('.')
    found = getattr(importlib.import_module(module), handler, None)
    if found is None or not all(is_listed(found, action) for action in actions) or is_listed(found, 'no such action'):
        missing.append(name)
print(json.dumps(missing))
"""
    assert json.loads(in_notebook(code)) == []


def test_what_serves_files_and_shells_is_not_listed() -> None:
    code = """
import json
from jupyter_server.files.handlers import FilesHandler
from jupyter_server.view.handlers import ViewHandler
from jupyter_server.nbconvert.handlers import NbconvertFileHandler, NbconvertPostHandler
from jupyter_server.services.shutdown import ShutdownHandler
from jupyter_server_terminals.api_handlers import TerminalRootHandler
from jupyterlab.handlers.extension_manager_handler import ExtensionHandler
from notebooks_image.enclave_server.authorizer import is_listed
kinds = [FilesHandler, ViewHandler, NbconvertFileHandler, NbconvertPostHandler, ShutdownHandler, TerminalRootHandler, ExtensionHandler]
print(json.dumps([k.__name__ for k in kinds for a in ('read', 'write', 'execute') if is_listed(k, a)]))
"""
    assert json.loads(in_notebook(code)) == []


def test_every_plugin_that_is_switched_off_has_been_in_jupyterlab() -> None:
    settings = json.loads((ROOT / "notebooks_image/jupyter/config/labconfig/page_config.json").read_text())
    web = NOTEBOOK_PYTHON.parents[1] / "share/jupyter/lab/static"
    bundle = "".join(file.read_text(errors="ignore") for file in web.glob("*.js"))
    assert [plugin for plugin in settings["disabledExtensions"] if f'"{plugin}"' not in bundle] == []
