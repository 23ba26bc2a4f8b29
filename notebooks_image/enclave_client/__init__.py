"""What a researcher imports: ask private questions of partner data, and ask for files to leave.

import enclave_client as enclave
ds = enclave.dataset("hospital-stays")
q = ds.filter(ds.cim10 == "I50").group_by("sex").agg(enclave.count(), enclave.mean("length_of_stay", 0, 60))
q.on_mock()
q.price()
q.ask()
"""

from .answer import Answer, MockAnswer
from .budget import Budget, budget
from .dataset import Dataset, dataset, datasets
from .errors import EnclaveError, NoSuchColumn, WrongType
from .expression import Case, Column, Expression, col, when
from .features import Feature, exists
from .files import Checks, Request, check, request, requests, submit
from .language import language
from .price import ExpectedAccuracy, Price
from .question import Question, Selection
from .statistics import (
    Statistic,
    contingency,
    cor,
    corr,
    correlation,
    count,
    crosstab,
    hist,
    histogram,
    kaplan_meier,
    km,
    lm,
    mean,
    median,
    n_distinct,
    n_unique,
    ols,
    patients,
    quantile,
    rate,
    sd,
    standardised_rate,
    std,
    sum,  # noqa: A004 - `enclave.sum` is what everybody types
    survival,
    table,
    units,
    var,
    variance,
)

__all__ = [
    "Answer",
    "Budget",
    "Case",
    "Checks",
    "Column",
    "Dataset",
    "EnclaveError",
    "ExpectedAccuracy",
    "Expression",
    "Feature",
    "MockAnswer",
    "NoSuchColumn",
    "Price",
    "Question",
    "Request",
    "Selection",
    "Statistic",
    "WrongType",
    "budget",
    "check",
    "col",
    "contingency",
    "cor",
    "corr",
    "correlation",
    "count",
    "crosstab",
    "dataset",
    "datasets",
    "exists",
    "hist",
    "histogram",
    "kaplan_meier",
    "km",
    "language",
    "lm",
    "mean",
    "median",
    "n_distinct",
    "n_unique",
    "ols",
    "patients",
    "quantile",
    "rate",
    "request",
    "requests",
    "sd",
    "standardised_rate",
    "std",
    "submit",
    "sum",
    "survival",
    "table",
    "units",
    "var",
    "variance",
    "when",
]
