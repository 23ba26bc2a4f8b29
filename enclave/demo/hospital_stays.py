"""Made-up hospital stays of made-up people, seeded: a file with the shape and the traps of a partner's extract.

The identity numbers have valid keys and the notes hold names, dates and telephone numbers, so that everything
downstream has something to find; the telephone series is one that the numbering plan sets aside for fiction.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from enclave.demo.names import FAMILIES, MEN, WOMEN
from enclave.demo.nomenclature import DEPARTMENTS, DIAGNOSES, HOSPITALS, NEAR, OTHER_ACTS

COLUMNS = (
    "nir",
    "last_name",
    "first_name",
    "birth_date",
    "sex",
    "postcode",
    "dept",
    "cim10",
    "ccam",
    "hospital",
    "admission",
    "discharge",
    "length_of_stay",
    "cost",
    "note",
)
BIRTH_YEARS = (1928, 2019)
FIRST_DAY, DAYS = np.datetime64("2023-01-01"), 1096  # three years of admissions
LONGEST_STAY = 120
CHILDBEARING = (15, 50)
BORN_ABROAD = 0.08
WOMEN_SHARE = 0.52
USUAL_ACT, OTHER_ACT = 0.70, 0.10
LIVES_ALONE = 0.5
INSEE_ABROAD = "99"
# ARCEP, plan national de numérotation: mobile series kept for films and books, given to nobody.
FICTION_PHONES = "06 39 98"
DAILY_COST, ENTRY_COST, DEAREST = 61_000, 42_000, 9_999_999  # cents
NOTES = (
    "{civ} {last} {first}, {born} le {birth}, hospitalisation du {entry} pour {words}. Évolution favorable.",
    "Patient{e} {first} {last} vu{e} le {entry} : {words}. Rappeler au {phone}. Sortie le {exit}.",
    "{civ} {last} : {words}. Traitement adapté, contrôle dans trois mois.",
    "Entrée le {entry} par les urgences. {words}. {civ} {last} vit {alone}, tél. {phone}.",
    "Compte rendu : {words}. Pas de complication. Retour à domicile le {exit}.",
    "{last} {first} ({birth}) - {words}. Courrier adressé au médecin traitant.",
)
NO_NOTE = 0.15


def hospital_stays(patients: int = 30_000, stays: int = 100_000, seed: int = 1) -> pl.DataFrame:
    """Give `stays` rows, every one of the `patients` at least once, a few of them very often."""
    if not 0 < patients <= stays:
        message = "each patient has at least one stay: ask for at least as many stays as patients"
        raise ValueError(message)
    rng = np.random.default_rng(seed)
    who = people(patients, rng)
    return _stays(who[_visits(patients, stays, rng)], rng)


def write_csv(target: Path | IO[bytes], frame: pl.DataFrame) -> None:
    """Write the stays as a partner would send them: UTF-8, `;` between the fields, a header line."""
    empty = pl.col(pl.String).replace("", None)  # an empty field, not a pair of quotes
    frame.with_columns(empty).write_csv(target, separator=";", float_precision=2)


def people(count: int, rng: np.random.Generator) -> pl.DataFrame:
    """Give distinct people: identity number with its key, names, birth date, sex, where they live."""
    woman = rng.random(count) < WOMEN_SHARE
    born = _birth_dates(count, rng)
    frame = pl.DataFrame(
        {
            "sex": np.where(woman, "F", "M"),
            "last_name": _drawn(FAMILIES, count, rng),
            "first_name": np.where(woman, _drawn(WOMEN, count, rng), _drawn(MEN, count, rng)),
            "birth_date": born,
            "dept": rng.choice(np.array(DEPARTMENTS), count, p=_department_shares()),
        }
    )
    return frame.with_columns(
        last_name=pl.col("last_name").str.to_uppercase(),
        nir=_identity_numbers(frame, rng),
        postcode=_postcodes(frame["dept"], rng),
    )


def _drawn(values: Sequence[str], count: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Draw with a skew, as names are: the first of the list about five times as often as the last."""
    weights = 1.0 / (np.arange(len(values)) + len(values) / 4)
    return rng.choice(np.array(values), count, p=weights / weights.sum())


def _birth_dates(count: int, rng: np.random.Generator) -> NDArray[np.datetime64]:
    """Draw birth dates, older people more often: hospitals see them more."""
    first = np.datetime64(f"{BIRTH_YEARS[0]}-01-01")
    span = int((np.datetime64(f"{BIRTH_YEARS[1]}-12-31") - first).astype(int))
    return first + (rng.beta(1.3, 2.2, count) * span).astype("timedelta64[D]")


def _department_shares() -> NDArray[np.float64]:
    far = (1.0 - sum(NEAR.values())) / (len(DEPARTMENTS) - len(NEAR))
    shares = np.array([NEAR.get(dept, far) for dept in DEPARTMENTS])
    return np.asarray(shares / shares.sum())


def _postcodes(dept: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Give a postcode of the department: Corsica is 200-202, overseas 971 to 976."""
    prefix = dept.replace({"2A": "20", "2B": "20"}).alias("prefix")
    width = 5 - pl.col("prefix").str.len_chars()
    drawn = pl.Series(
        "place", (rng.random(len(dept)) * 10 ** (5 - prefix.str.len_chars().to_numpy().astype(int)))
    )
    place = (pl.col("place") // 10 * 10).cast(pl.Int64).cast(pl.String)
    return pl.DataFrame([prefix, drawn]).select(pl.col("prefix") + place.str.zfill(width)).to_series()


def _identity_numbers(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Give numbers as INSEE does: sex, year, month, department, commune, order in the commune's month, key."""
    abroad = rng.random(len(frame)) < BORN_ABROAD
    place = pl.Series(rng.choice(np.array(DEPARTMENTS), len(frame), p=_department_shares()))
    place = pl.select(pl.when(pl.Series(abroad)).then(pl.lit(INSEE_ABROAD)).otherwise(place)).to_series()
    commune = pl.Series(rng.integers(1, 90, len(frame))).cast(pl.String)
    width = 5 - pl.col("place").str.len_chars()
    stem = frame.with_columns(place=place, commune=commune).select(
        stem=pl.when(pl.col("sex") == "M").then(pl.lit("1")).otherwise(pl.lit("2"))
        + pl.col("birth_date").dt.strftime("%y%m")
        + pl.col("place")
        + pl.col("commune").str.zfill(width)
    )
    order = pl.int_range(1, pl.len() + 1).over("stem").cast(pl.String).str.zfill(3)
    return _with_key(stem.select(pl.col("stem") + order).to_series())


def _with_key(numbers: pl.Series) -> pl.Series:
    """Append the key, 97 less the rest of the thirteen figures by 97, with 2A read as 19 and 2B as 18."""
    figures = numbers.str.replace("2A", "19", literal=True).str.replace("2B", "18", literal=True)
    key = 97 - figures.cast(pl.Int64) % 97
    return numbers + key.cast(pl.String).str.zfill(2)


def _visits(patients: int, stays: int, rng: np.random.Generator) -> pl.Series:
    """Give the patient of each stay: each once, the rest by a heavy-tailed taste for hospitals."""
    taste = np.minimum(rng.pareto(1.4, patients) + 0.05, 40.0)
    more = rng.choice(patients, stays - patients, p=taste / taste.sum())
    return pl.Series(rng.permutation(np.concatenate([np.arange(patients), more])))


def _stays(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    count = len(frame)
    # Nobody is admitted before being born.
    first = np.maximum(frame["birth_date"].to_numpy(), FIRST_DAY)
    room = (FIRST_DAY + DAYS - first).astype(int)
    admission = np.sort(first + (rng.random(count) * room).astype("timedelta64[D]"))
    case = _cases(frame, admission, rng)
    mean = np.array([d.days for d in DIAGNOSES])[case]
    days = np.minimum(rng.gamma(1.6, mean / 1.6), LONGEST_STAY).astype(int)
    frame = frame.with_columns(
        cim10=np.array([d.code for d in DIAGNOSES])[case],
        words=np.array([d.words for d in DIAGNOSES])[case],
        ccam=_acts(case, rng),
        hospital=rng.choice(np.array(HOSPITALS), count, p=_hospital_shares()),
        admission=pl.Series(admission).cast(pl.Date),
        length_of_stay=days,
        cost=np.minimum(np.round((ENTRY_COST + DAILY_COST * days) * rng.lognormal(0.0, 0.35, count)), DEAREST)
        / 100,
    ).with_columns(discharge=pl.col("admission") + pl.duration(days="length_of_stay"))
    return frame.with_columns(birth_date=pl.col("birth_date").cast(pl.Date), note=_notes(frame, rng)).select(
        COLUMNS
    )


def _hospital_shares() -> NDArray[np.float64]:
    shares = 1.0 / np.arange(2, len(HOSPITALS) + 2)
    return np.asarray(shares / shares.sum())


def _cases(
    frame: pl.DataFrame, admission: NDArray[np.datetime64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the diagnosis of each stay; a birth that befalls somebody else becomes hypertension."""
    shares = np.array([d.share for d in DIAGNOSES])
    case = rng.choice(len(DIAGNOSES), len(frame), p=shares / shares.sum())
    birth = next(i for i, d in enumerate(DIAGNOSES) if d.code == "O80")
    age = (admission - frame["birth_date"].to_numpy()).astype("timedelta64[D]").astype(int) / 365.25
    able = (frame["sex"] == "F").to_numpy() & (age >= CHILDBEARING[0]) & (age <= CHILDBEARING[1])
    return np.where((case == birth) & ~able, 0, case)


def _acts(case: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.str_]:
    """Give the act the diagnosis brings, else now and then another, else none."""
    usual = np.array([d.act for d in DIAGNOSES])[case]
    other = rng.choice(np.array(OTHER_ACTS), len(case))
    chance = rng.random(len(case))
    return np.where((usual != "") & (chance < USUAL_ACT), usual, np.where(chance > 1 - OTHER_ACT, other, ""))


def _notes(frame: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """Write each stay's note in one of a few manners; some stays have none."""
    manner = rng.integers(0, len(NOTES), len(frame))
    manner[rng.random(len(frame)) < NO_NOTE] = len(NOTES)
    digits = pl.Series(rng.integers(0, 10_000, len(frame))).cast(pl.String).str.zfill(4)
    ready = frame.with_columns(
        manner=manner,
        phone=pl.lit(FICTION_PHONES + " ") + digits.str.head(2) + " " + digits.str.tail(2),
        alone=np.where(rng.random(len(frame)) < LIVES_ALONE, "seul(e)", "avec sa famille"),
    )
    note = pl.lit("")
    for number, template in enumerate(NOTES):
        note = pl.when(pl.col("manner") == number).then(_filled(template)).otherwise(note)
    return ready.select(note=note).to_series()


def _filled(template: str) -> pl.Expr:
    woman = pl.col("sex") == "F"
    fields = {
        "civ": pl.when(woman).then(pl.lit("Mme")).otherwise(pl.lit("M.")),
        "born": pl.when(woman).then(pl.lit("née")).otherwise(pl.lit("né")),
        "e": pl.when(woman).then(pl.lit("e")).otherwise(pl.lit("")),
        "last": pl.col("last_name"),
        "first": pl.col("first_name"),
        "birth": pl.col("birth_date").dt.strftime("%d/%m/%Y"),
        "entry": pl.col("admission").dt.strftime("%d/%m/%Y"),
        "exit": pl.col("discharge").dt.strftime("%d/%m/%Y"),
        "words": pl.col("words"),
        "phone": pl.col("phone"),
        "alone": pl.col("alone"),
    }
    parts = re.split(r"{(\w+)}", template)  # plain text and field names in turn
    return pl.concat_str([fields[part] if turn % 2 else pl.lit(part) for turn, part in enumerate(parts)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a file of made-up stays."""
    parser = argparse.ArgumentParser(prog="python -m enclave.demo.hospital_stays", description=main.__doc__)
    parser.add_argument("out", type=Path, help="the CSV file to write")
    parser.add_argument("--patients", type=int, default=30_000)
    parser.add_argument("--stays", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    write_csv(asked.out, hospital_stays(asked.patients, asked.stays, asked.seed))


if __name__ == "__main__":
    main()
