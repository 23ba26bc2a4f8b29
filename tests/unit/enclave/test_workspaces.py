"""A new workspace comes with the worked notebooks; whatever a person has is never written to again."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from enclave.sessions import EXAMPLES, Holder, Sessions, new_workspace
from enclave.settings import NotebookSettings, Settings
from notebooks_image.enclave_server.folder import Folder
from tests.unit.journeys.recorder_for_tests import RecorderForTests

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "notebooks_image" / "examples"
WORKED = "epidemiology.ipynb"
HOLDER = Holder("researcher-a", "cardio")


def opened(folder: Path) -> Path:
    """Open a session as the hub has it opened, and give its workspace."""
    (folder / "trail").mkdir(mode=0o700, exist_ok=True)
    recorder = RecorderForTests(folder / "trail")
    with TemporaryDirectory(prefix="e-") as run:  # its path has to be short
        settings = Settings(
            state=folder / "state", run=Path(run), notebook=NotebookSettings(code=ROOT / "notebooks_image")
        )
        sessions = Sessions(settings, recorder, lambda _: None, lambda _: None)
        sessions.open(HOLDER)
    recorder.close()
    return sessions.workspace(HOLDER)


def test_a_first_session_finds_the_worked_notebook_and_the_browser_may_open_it(tmp_path: Path) -> None:
    workspace = opened(tmp_path)
    assert [entry.name for entry in Folder(workspace).entries("")] == [EXAMPLES]
    shown = Folder(workspace).read(f"{EXAMPLES}/{WORKED}", 10**6)
    assert shown == (SHIPPED / WORKED).read_bytes()
    modes = [path.stat().st_mode & 0o777 for path in (workspace, workspace / EXAMPLES / WORKED)]
    assert modes == [0o700, 0o600]
    assert [path.name for path in workspace.parent.iterdir()] == [HOLDER.project]


@pytest.mark.parametrize("what", ["changed", "thrown away", "a link to elsewhere"])
def test_a_later_session_leaves_a_persons_files_as_they_are(what: str, tmp_path: Path) -> None:
    workspace, elsewhere = tmp_path / "cardio", tmp_path / "elsewhere"
    elsewhere.mkdir()
    new_workspace(workspace, SHIPPED)
    own = workspace / EXAMPLES / WORKED
    own.unlink()
    if what == "changed":
        own.write_text("mine")
    elif what == "a link to elsewhere":
        own.parent.rmdir()
        own.parent.symlink_to(elsewhere)
    before = sorted(str(path) for path in workspace.rglob("*"))
    new_workspace(workspace, SHIPPED)
    assert sorted(str(path) for path in workspace.rglob("*")) == before
    assert not list(elsewhere.iterdir())
    assert what != "changed" or own.read_text() == "mine"


def test_of_two_openings_at_once_the_second_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "cardio"
    honest = Path.exists

    def first_another(path: Path, **more: bool) -> bool:
        there = honest(path, **more)
        if path == workspace and not there:
            monkeypatch.setattr(Path, "exists", honest)
            new_workspace(workspace, SHIPPED)
            (workspace / EXAMPLES / WORKED).write_text("mine")
        return there

    monkeypatch.setattr(Path, "exists", first_another)
    new_workspace(workspace, SHIPPED)
    assert (workspace / EXAMPLES / WORKED).read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["cardio"]


def test_a_workspace_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cardio").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError, match="cardio"):
        new_workspace(tmp_path / "cardio", SHIPPED)
