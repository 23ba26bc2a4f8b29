"""What a researcher imports: ask private questions of partner data, and ask for files to leave.

import enclave_client as enclave
ds = enclave.dataset("hospital-stays")
q = ds.filter(ds.cim10 == "I50").group_by("sex").agg(enclave.count(), enclave.mean("length_of_stay", 0, 60))
q.price()
q.ask()
"""

from .answer import Answer, Price
from .budget import Budget, budget
from .dataset import Dataset, dataset, datasets
from .errors import EnclaveError, NoSuchColumn, WrongType
from .expression import Case, Column, Expression, col, when
from .files import Checks, Request, check, request, requests, submit
from .language import language
from .question import Question, Selection
from .statistics import (
    Statistic,
    count,
    mean,
    n_distinct,
    n_unique,
    patients,
    sum,  # noqa: A004 - `enclave.sum` is what everybody types
    units,
)

__all__ = [
    "Answer",
    "Budget",
    "Case",
    "Checks",
    "Column",
    "Dataset",
    "EnclaveError",
    "Expression",
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
    "count",
    "dataset",
    "datasets",
    "language",
    "mean",
    "n_distinct",
    "n_unique",
    "patients",
    "request",
    "requests",
    "submit",
    "sum",
    "units",
    "when",
]
