import pytest

from vault.errors import VaultUsage
from vault.file_names import check_file_names


@pytest.mark.parametrize(
    "names",
    [
        ["table.csv"],
        ["Séjours par âge.csv", "a/b/c.png"],
        ["conclusion.md", "com.csv"],
        ["-v.csv"],
        ["a" * 200],
    ],
)
def test_an_ordinary_name_may_leave(names: list[str]) -> None:
    check_file_names(names)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 201,
        "é" * 101,
        "/etc/passwd",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        ".",
        "..",
        ".hidden",
        "a ",
        " a",
        "a.",
        "a/b/c/d/e",
        "C:a",
        "a\\b",
        "a*",
        "a?",
        'a"',
        "a<",
        "a>",
        "a|b",
        "100%",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\x1b[2J",
        "a\x7f",
        "gpj.\u202etxt",
        "a\u200bb",
        "a\ufeff",
        "a\ue000",
        "\ud800",
        "e\u0301.csv",
        "con",
        "NUL.csv",
        "a/com1.txt",
        "Lpt9",
    ],
)
def test_a_hostile_name_is_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(VaultUsage) as caught:
        check_file_names([name])
    assert caught.value.code in {"file_name_length", "file_name_character", "file_name_path"}
    assert len(name) < 3 or name not in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [
        ["a.csv", "a.csv"],
        ["A.csv", "a.csv"],
        ["straße", "STRASSE"],
        ["ﬁn.csv", "fin.csv"],
        ["Å", "Å"],
        ["a", "A/b"],
    ],
)
def test_two_names_some_system_takes_for_one_are_refused(names: list[str]) -> None:
    with pytest.raises(VaultUsage):
        check_file_names(names)
