"""The written plan's twenty questions answered exactly, in plain polars and numpy on the partner's own rows.

It shares no code with the engine: no bound, no clip, no noise, all stays of everybody. A cell is named by what was asked, its
groups and its coordinates, joined by `|`, as `cells_of` names those of an answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

Cells = dict[str, float]
DAYS, COST = "length_of_stay", "cost"
AGES = ("<18", "[18, 40)", "[40, 65)", "[65, 80)", ">=80")
LENGTHS = ("<1", "[1, 3)", "[3, 7)", "[7, 14)", "[14, 30)", ">=30")
AREAS = {"59": "Nord", "62": "Pas-de-Calais", "60": "Oise", "80": "Somme", "02": "Aisne"}
REASONS = {"I10": "hypertension", "I50": "heart failure", "S72": "fracture"}
LONG_REASONS = {"I63": "stroke", "S72": "fracture", "I50": "heart failure", "I21": "infarction"}
HEARTS = {"I10": "hypertension", "I21": "infarction", "I48": "fibrillation", "I50": "heart failure"}
# European Standard Population 2013 (Eurostat), of 100,000: below 40, 40 to 64, 65 to 79, 80 and over
STANDARD = (47_000, 33_500, 14_500, 5_000)
PERSONS = (1_300_000, 820_000, 380_000, 120_000)


def prepared(stays: pl.DataFrame) -> pl.DataFrame:
    """Add the columns the plan speaks of: the age reached in the year of admission, year, month."""
    age = pl.col("admission").dt.year() - pl.col("birth_date").dt.year()
    return stays.with_columns(
        age=age.cast(pl.Int64),
        age_group=_binned(age, (18, 40, 65, 80), AGES),
        year=pl.col("admission").dt.year(),
        month=pl.col("admission").dt.month(),
        area=pl.col("dept").replace_strict(AREAS, default="elsewhere"),
    )


def _binned(value: pl.Expr, edges: Sequence[int], labels: Sequence[str]) -> pl.Expr:
    told = pl.lit(labels[0])
    for edge, label in zip(edges, labels[1:], strict=True):
        told = pl.when(value >= edge).then(pl.lit(label)).otherwise(told)
    return told


def grouped(frame: pl.DataFrame, name: str, by: str | Sequence[str], told: pl.Expr) -> Cells:
    """Give one figure for each group that occurs."""
    keys = [by] if isinstance(by, str) else list(by)
    rows = frame.group_by(keys).agg(told.alias("told")).iter_rows(named=True)
    return {"|".join([name, *(str(row[key]) for key in keys)]): float(row["told"]) for row in rows}


PEOPLE = pl.col("nir").n_unique()


def _volume(stays: pl.DataFrame) -> Cells:
    return {"patients": float(stays["nir"].n_unique()), "stays": float(stays.height)}


def _rate(stays: pl.DataFrame) -> Cells:
    ages = stays.filter((pl.col("dept") == "59") & (pl.col("cim10") == "I50"))["age"].to_numpy()
    events = np.histogram(ages, [0, 40, 65, 80, 200])[0]
    return {"rate": float((np.array(STANDARD) * events / np.array(PERSONS)).sum())}


def _staying(stays: pl.DataFrame) -> Cells:
    """Nobody leaves the count before day 60, so the curve up to day 10 is the share still there after each day."""
    found: Cells = {}
    named = stays.with_columns(reason=pl.col("cim10").replace_strict(REASONS, default=None))
    for day in (0, 1, 2, 3, 5, 7, 10):
        told = grouped(named.drop_nulls("reason"), "staying", "reason", (pl.col(DAYS) > day).mean())
        found |= {f"{name}|{day}": share for name, share in told.items()}
    return found


def _model(stays: pl.DataFrame) -> Cells:
    design = np.stack([np.ones(stays.height), stays[DAYS].to_numpy(), stays["age"].to_numpy()], axis=1)
    found = np.linalg.lstsq(design, stays[COST].to_numpy(), rcond=None)[0]
    return {f"model|{term}": float(one) for term, one in zip(("intercept", DAYS, "age"), found, strict=True)}


def _failure(stays: pl.DataFrame) -> Cells:
    own = stays.filter(pl.col("cim10") == "I50")
    figures = {"stays": pl.len(), "days": pl.col(DAYS).mean(), "cost": pl.col(COST).mean()}
    return {
        cell: value
        for name, told in figures.items()
        for cell, value in grouped(own, name, "sex", told).items()
    }


def _quartiles(stays: pl.DataFrame) -> Cells:
    days = stays.filter(pl.col("cim10") == "S72")[DAYS].to_numpy()
    return {
        f"days|{prob}": float(np.quantile(days, prob, method="inverted_cdf")) for prob in (0.25, 0.5, 0.75)
    }


def _long(stays: pl.DataFrame) -> Cells:
    named = stays.with_columns(reason=pl.col("cim10").replace_strict(LONG_REASONS, default=None))
    return grouped(named.drop_nulls("reason"), "long", "reason", (pl.col(DAYS) > 14).mean())


def _hearts(stays: pl.DataFrame) -> Cells:
    named = stays.with_columns(heart=pl.col("cim10").replace_strict(HEARTS, default=None))
    return grouped(named.drop_nulls("heart"), "stays", ("sex", "heart"), pl.len())


def _operated(stays: pl.DataFrame) -> Cells:
    own = stays.filter(pl.col("ccam") == "NEKA020")
    return grouped(own, "age", "sex", pl.col("age").mean()) | grouped(
        own, "spread", "sex", pl.col("age").std()
    )


def _lengths(stays: pl.DataFrame) -> Cells:
    named = stays.with_columns(bin=_binned(pl.col(DAYS), (1, 3, 7, 14, 30), LENGTHS))
    return grouped(named, "stays", "bin", pl.len())


EXACT: Mapping[int, Callable[[pl.DataFrame], Cells]] = {
    1: _volume,
    2: lambda stays: grouped(stays, "patients", "sex", PEOPLE),
    3: lambda stays: grouped(stays, "patients", "age_group", PEOPLE),
    4: lambda stays: grouped(stays, "patients", "cim10", PEOPLE),
    5: lambda stays: grouped(stays, "stays", "year", pl.len()),
    6: lambda stays: grouped(
        stays.filter(~pl.col("cim10").is_in(("G10", "O80"))), "days", "cim10", pl.col(DAYS).mean()
    ),
    7: _quartiles,
    8: lambda stays: grouped(stays, "cost", "hospital", pl.col(COST).mean()),
    9: lambda stays: grouped(stays, "patients", "hospital", PEOPLE),
    10: lambda stays: grouped(stays, "patients", "area", PEOPLE),
    11: _rate,
    12: _staying,
    13: _model,
    14: lambda stays: {"r": float(np.corrcoef(stays[DAYS].to_numpy(), stays[COST].to_numpy())[0, 1])},
    15: _failure,
    16: _long,
    17: _hearts,
    18: _lengths,
    19: lambda stays: grouped(stays.filter(pl.col("cim10") == "J18"), "stays", "month", pl.len()),
    20: _operated,
}


def cells_of(answer: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Name every cell of an answer v1."""
    found: dict[str, Mapping[str, Any]] = {}
    for row in answer["rows"]:
        groups = [str(row[key]) for key in answer["by"]]
        for name, told in row.items():
            if isinstance(told, dict) and "cells" in told:
                for cell in told["cells"]:
                    found["|".join([name, *groups, *map(str, cell["at"].values())])] = cell
            elif isinstance(told, dict):
                found["|".join([name, *groups])] = told
    return found
