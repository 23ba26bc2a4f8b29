"""The project's folder: nothing planted in it leads the trusted server elsewhere."""

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notebooks_image.enclave_server.folder import PARTIAL_PREFIX, Folder, HiddenError, LeavesFolderError

MOST = 1000


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_text("1")
    (root / "sub" / "b.py").write_text("2")
    return root


@pytest.mark.parametrize("target", ["/proc/self/environ", "../secret", "a.py", "/proc/self/fd/0", "nowhere"])
def test_a_link_is_neither_read_nor_listed(project: Path, target: str) -> None:
    (project / "link.py").symlink_to(target)
    folder = Folder(project)
    assert folder.entry("link.py") is None
    assert "link.py" not in {entry.name for entry in folder.entries("")}
    with pytest.raises(LeavesFolderError):
        folder.read("link.py", MOST)


def test_a_linked_folder_is_passed_by_no_act(project: Path) -> None:
    (project / "away").symlink_to(project.parent)
    folder = Folder(project)
    acts = [
        lambda: folder.read("away/secret", MOST),
        lambda: folder.entries("away"),
        lambda: folder.write("away/x.py", b"x"),
        lambda: folder.make_folder("away/x"),
        lambda: folder.remove("away/secret"),
        lambda: folder.rename("away/secret", "x.py"),
        lambda: folder.rename("a.py", "away/a.py"),
    ]
    for act in acts:
        with pytest.raises((LeavesFolderError, NotADirectoryError)):
            act()
    assert sorted(path.name for path in project.parent.iterdir()) == ["project", "secret"]


@pytest.mark.parametrize("path", ["..", "../secret", "sub/../../secret", "a\\b", "x\0y"])
def test_a_path_that_climbs_is_refused(project: Path, path: str) -> None:
    with pytest.raises((LeavesFolderError, HiddenError)):
        Folder(project).read(path, MOST)


@pytest.mark.parametrize("path", [".ssh", ".git/config", "sub/.x.py"])
def test_a_hidden_name_is_refused(project: Path, path: str) -> None:
    with pytest.raises(HiddenError):
        Folder(project).write(path, b"x")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "sub", "a.py", "away", "", "secret", "/", "b.py"]), max_size=6))
def test_no_path_reads_outside(project: Path, names: list[str]) -> None:
    away = project / "away"
    if not away.is_symlink():
        away.symlink_to("..")
    try:
        content = Folder(project).read("/".join(names), MOST)
    except (OSError, LeavesFolderError, HiddenError):
        return
    assert content in {b"1", b"2"}


def test_a_link_swapped_in_while_reading_is_never_followed(project: Path) -> None:
    folder, stop = Folder(project), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for plant in (
                lambda: (project / "n.py").symlink_to("../secret"),
                lambda: (project / "n.py").write_text("1"),
            ):
                (project / "n.py").unlink(missing_ok=True)
                plant()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(2000):
            try:
                assert folder.read("n.py", MOST) in {b"", b"1"}
            except (OSError, LeavesFolderError):
                continue
    finally:
        stop.set()
        swapper.join()


def test_a_pipe_does_not_stop_the_server(project: Path) -> None:
    os.mkfifo(project / "p.py")
    folder = Folder(project)
    assert folder.entry("p.py") is None
    with pytest.raises(OSError) as refused:
        folder.read("p.py", MOST)
    assert refused.value.errno == errno.EINVAL


def test_a_file_above_the_limit_is_refused(project: Path) -> None:
    (project / "large.py").write_bytes(b"x" * (MOST + 1))
    with pytest.raises(OSError) as refused:
        Folder(project).read("large.py", MOST)
    assert refused.value.errno == errno.EFBIG


def test_a_file_is_written_whole_and_private(project: Path) -> None:
    folder = Folder(project)
    folder.write("sub/b.py", b"new")
    assert (project / "sub" / "b.py").read_bytes() == b"new"
    assert (project / "sub" / "b.py").stat().st_mode & 0o777 == 0o600
    assert not list(project.rglob(f"{PARTIAL_PREFIX}*"))


def test_writing_replaces_a_link_and_not_what_it_points_to(project: Path) -> None:
    (project / "link.py").symlink_to("../secret")
    Folder(project).write("link.py", b"new")
    assert (project.parent / "secret").read_text() == "secret"
    assert not (project / "link.py").is_symlink()


def test_a_failed_write_leaves_nothing(project: Path) -> None:
    with pytest.raises(OSError):
        Folder(project).write("sub", b"x")
    assert not list(project.rglob(f"{PARTIAL_PREFIX}*"))


def test_files_and_folders_are_made_renamed_and_removed(project: Path) -> None:
    folder = Folder(project)
    folder.make_folder("new")
    folder.rename("a.py", "new/a.py")
    assert [entry.name for entry in folder.entries("new")] == ["a.py"]
    with pytest.raises(FileExistsError):
        folder.rename("new/a.py", "sub/b.py")
    with pytest.raises(OSError):
        folder.remove("new")
    folder.remove("new/a.py")
    folder.remove("new")
    assert folder.entry("new") is None
    assert folder.entry("") is not None
