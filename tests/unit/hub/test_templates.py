"""What the hub itself shows a person is French first, then English, and leads back to the projects."""

import sys
from pathlib import Path

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from enclave import hub

OURS = Path(hub.__file__).parent / "templates"
THEIRS = Path(sys.prefix) / "share" / "jupyterhub" / "templates"


@pytest.fixture(scope="module")
def pages() -> Environment:
    """Load templates as the hub does (jupyterhub.app.JupyterHub.init_tornado_settings)."""
    theirs = FileSystemLoader(str(THEIRS))
    loader = ChoiceLoader(
        [PrefixLoader({"templates": theirs}, "/"), FileSystemLoader([str(OURS), str(THEIRS)])]
    )
    return Environment(loader=loader, autoescape=True)


@pytest.mark.parametrize(
    ("name", "french", "english"),
    [
        ("error.html", "Repartez de", "Start again from"),
        ("404.html", "Il n’y a rien à cette adresse", "There is nothing at this address"),
        ("not_running.html", "Le carnet est arrêté", "The notebook is stopped"),
        ("stop_pending.html", "Votre carnet s’arrête", "Your notebook is stopping"),
        ("logout.html", "Vous êtes déconnecté", "You are logged out"),
    ],
)
def test_a_page_of_the_hub_speaks_both_languages(
    pages: Environment, name: str, french: str, english: str
) -> None:
    shown = pages.get_template(name).render(
        static_url=lambda *_, **__: "",
        status_code=500,
        status_message="Internal Server Error",
        message="<b>details</b>",
        server_name="cardio",
        spawn_url="/hub/spawn/researcher-a/cardio",
    )
    assert french in shown
    assert english in shown
    assert shown.index(french) < shown.index(english)
    assert "<b>details</b>" not in shown
