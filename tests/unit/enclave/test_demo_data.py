import io
import re
from pathlib import Path

import polars as pl
import pytest

from enclave.agreements.policy import DatasetPolicy, load_policy
from enclave.demo import hospital_stays
from enclave.demo.hospital_stays import hospital_stays as make
from enclave.demo.nomenclature import CCAM, CIM10, DEPARTMENTS, HOSPITALS

DEMO = Path(hospital_stays.__file__).parent


@pytest.fixture(scope="module")
def stays() -> pl.DataFrame:
    return make(patients=2_000, stays=7_000, seed=7)


def demo_policy(name: str) -> DatasetPolicy:
    return load_policy((DEMO / "policies" / f"{name}.yaml").read_text())


def key_is_right(nir: str) -> bool:
    figures = int(nir[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - figures % 97 == int(nir[13:])


def test_every_stay_and_every_patient_asked_for_is_there(stays: pl.DataFrame) -> None:
    assert (len(stays), stays["nir"].n_unique()) == (7_000, 2_000)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    hospital_stays.write_csv(first, make(50, 80, seed=3))
    hospital_stays.write_csv(second, make(50, 80, seed=3))
    assert first.getvalue() == second.getvalue()
    assert not make(50, 80, seed=3).equals(make(50, 80, seed=4))


def test_fewer_stays_than_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="at least as many stays"):
        make(patients=10, stays=9)


def test_identity_numbers_have_their_key_and_say_sex_month_and_year(stays: pl.DataFrame) -> None:
    for nir, sex, birth in stays.select("nir", "sex", "birth_date").unique().iter_rows():
        assert re.fullmatch(r"[12]\d{4}(\d\d|2A|2B|97\d)\d{5,8}", nir)
        assert len(nir) == 15
        assert key_is_right(nir)
        assert nir[0] == ("1" if sex == "M" else "2")
        assert nir[1:5] == f"{birth:%y%m}"


def test_corsica_and_overseas_are_among_the_birth_places() -> None:
    places = {nir[5:7] for nir in make(20_000, 20_000)["nir"]}
    assert {"2A", "2B", "97", "99"} <= places


def test_a_patient_keeps_name_birth_date_and_home_over_all_stays(stays: pl.DataFrame) -> None:
    per_patient = stays.group_by("nir").agg(
        pl.struct("last_name", "first_name", "birth_date", "postcode").n_unique()
    )
    assert per_patient["last_name"].max() == 1


def test_a_postcode_lies_in_its_department(stays: pl.DataFrame) -> None:
    for dept, postcode in stays.select("dept", "postcode").unique().iter_rows():
        assert re.fullmatch(r"\d{5}", postcode)
        assert postcode.startswith({"2A": "20", "2B": "20"}.get(dept, dept))


def test_nobody_is_admitted_before_birth_and_discharge_follows_the_stay(stays: pl.DataFrame) -> None:
    assert (stays["admission"] >= stays["birth_date"]).all()
    assert (
        (stays["discharge"] - stays["admission"])
        .dt.total_days()
        .equals(stays["length_of_stay"], check_dtypes=False)
    )


def test_stays_are_skewed_over_patients(stays: pl.DataFrame) -> None:
    counts = stays["nir"].value_counts()["count"]
    assert counts.median() < 4
    assert counts.max() > 20


def test_notes_hold_names_dates_and_only_telephone_numbers_kept_for_fiction(stays: pl.DataFrame) -> None:
    named = stays.filter(pl.col("note").str.contains(pl.col("last_name"), literal=True))
    assert len(named) > len(stays) / 3
    phones = stays["note"].str.extract_all(r"0\d(?: \d\d){4}").explode().drop_nulls()
    assert len(phones) > 500
    assert phones.str.starts_with(hospital_stays.FICTION_PHONES).all()


def test_the_command_writes_semicolons_and_two_decimals(tmp_path: Path) -> None:
    hospital_stays.main([str(tmp_path / "out.csv"), "--patients", "20", "--stays", "30", "--seed", "2"])
    head, first, *_ = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert head == ";".join(hospital_stays.COLUMNS)
    assert re.fullmatch(r"\d+\.\d\d", first.split(";")[13])


def test_the_policy_declares_the_file_column_for_column(stays: pl.DataFrame) -> None:
    declared = {column.name for column in demo_policy("hospital-stays").source_columns}
    assert declared == set(stays.columns)


@pytest.mark.parametrize(
    ("column", "public_list"),
    [("dept", DEPARTMENTS), ("cim10", CIM10), ("ccam", CCAM), ("hospital", HOSPITALS)],
)
def test_a_declared_domain_is_the_public_list(column: str, public_list: tuple[str, ...]) -> None:
    declared = demo_policy("hospital-stays").column(column)
    assert declared is not None
    assert declared.domain == tuple(public_list)


@pytest.mark.parametrize("name", ["sex", "dept", "cim10", "ccam", "hospital"])
def test_every_made_up_code_is_in_the_declared_domain(stays: pl.DataFrame, name: str) -> None:
    column = demo_policy("hospital-stays").column(name)
    assert set(stays[name].replace("", None).drop_nulls()) <= set(column.domain)


def test_every_number_of_the_health_insurance_experiment_is_within_its_declared_bounds() -> None:
    table = pl.read_csv(DEMO / "rand_hie" / "randhie.csv", infer_schema_length=None)
    policy = demo_policy("rand-hie")
    assert len(table) == 20_190
    assert [column.name for column in policy.columns] == table.columns
    for column in policy.columns:
        low, high = (column.bounds.low, column.bounds.high) if column.bounds else ("0", "1")
        assert table[column.name].is_between(float(low), float(high)).all(), column.name


def test_the_health_insurance_experiment_says_where_it_comes_from() -> None:
    text = (DEMO / "rand_hie" / "SOURCE.md").read_text(encoding="utf-8")
    assert "public domain" in text
    assert "The unit is the row" in text
