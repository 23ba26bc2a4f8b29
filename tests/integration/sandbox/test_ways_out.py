"""Every known way out of a notebook, tried from a real cell and through the real gateway."""

from collections.abc import Callable
from typing import Any

import pytest

from enclave.demo import ways_out as probes
from enclave.demo.notebook_session import NotebookSession

pytestmark = pytest.mark.sandbox
Run = Callable[[Any], Any]


def test_the_notebook_still_works(notebook: NotebookSession, run: Run) -> None:
    code = "import polars as pl; write('/project/x.txt'); print(pl.DataFrame({'a': [1, 2]})['a'].sum())"
    assert run(notebook.run(code)).text.strip() == "3"


def test_the_kernel_reaches_the_house_by_its_own_socket(notebook: NotebookSession, run: Run) -> None:
    code = """
import http.client
c = http.client.HTTPConnection('house'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('/run/enclave/data.sock')
c.request('GET', '/api/v1/me'); print(c.getresponse().read().decode())
"""
    assert '"person": "researcher-a"' in run(notebook.run(code)).text


@pytest.mark.parametrize("probe", probes.CELLS, ids=lambda probe: probe.name)
def test_a_cell_is_refused(probe: probes.CellProbe, notebook: NotebookSession, run: Run) -> None:
    assert run(probes.run_cell(notebook, probe)).startswith(probes.REFUSED)


@pytest.mark.parametrize("probe", probes.WEB, ids=lambda probe: probe.name)
def test_a_request_is_refused(probe: probes.WebProbe, notebook: NotebookSession, run: Run) -> None:
    assert run(probes.ask_web(notebook, probe)) in probes.CLOSED_STATUSES


@pytest.mark.parametrize("name", probes.TWO_HANDED)
def test_a_planted_file_is_refused(name: str, notebook: NotebookSession, run: Run) -> None:
    assert run(probes.TWO_HANDED[name](notebook)).startswith(probes.REFUSED)
