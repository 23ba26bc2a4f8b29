"""What a question is about: the tables whose manifests are signed, and what follows from them before any data is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anonymisation import answer
from anonymisation.answer import Price
from anonymisation.bounds import Table
from anonymisation.question import Question, digest
from enclave.errors import BadInput
from enclave.recording import EventObject
from vault.manifest import Manifest

Described = tuple[Manifest, Table]


@dataclass(frozen=True)
class Matter:
    """A question that fits its table, and the second dataset where it takes features of one."""

    manifest: Manifest
    table: Table
    question: Question
    second: Described | None = None

    @property
    def other(self) -> Table | None:
        """The table that features are of."""
        return None if self.second is None else self.second[1]

    @property
    def sha256(self) -> str:
        """The digest under which the answer is kept: the question, and the version of what its features are of."""
        return digest(self.question, self.other)

    @property
    def price(self) -> Price:
        """What it costs, and how exact it will be."""
        return answer.price(self.question, self.table, self.other)

    @property
    def loss(self) -> dict[str, Any]:
        """The loss as the trail tells it."""
        price = self.price
        return {
            "mechanism": "gaussian",
            "rho_micro": price.rho_micro,
            "epsilon": f"{price.epsilon:.6f}",  # the trail's schema has decimals as strings, without exponents
            "delta": f"{price.delta:.12f}",
            "unit": self.table.unit,
        }

    @property
    def datasets(self) -> list[EventObject]:
        """The datasets as the trail names them, each with the manifest it was read by."""
        read = [self.manifest, *([] if self.second is None else [self.second[0]])]
        seen = {one.dataset: EventObject("dataset", one.dataset, sha256=one.sha256) for one in read}
        return list(seen.values())


def dataset_of(question: Mapping[str, Any]) -> str:
    """Give the dataset a question names, before anything else of it is looked at."""
    named = question.get("dataset")
    if not isinstance(named, str):
        raise BadInput("question_form", "The question names no dataset.", 'Give "dataset": its id.')
    return named


def features_of(question: Mapping[str, Any]) -> str | None:
    """Give the second dataset a question names, before anything else of it is looked at."""
    features = question.get("features")
    named = features.get("dataset") if isinstance(features, Mapping) else None
    return named if isinstance(named, str) else None


def declared_json(table: Table) -> dict[str, Any]:
    """Tell what was declared of a table: nothing of it comes from the data."""
    columns = [
        {
            "name": one.name,
            "kind": one.kind,
            "domain": one.domain,
            "low": one.low,
            "high": one.high,
            "digits": one.digits,
            "never_null": one.never_null,
        }
        for one in table.columns
    ]
    return {
        "dataset": table.dataset,
        "version": table.version,
        "population": table.population,
        "unit": table.unit,
        "rows": table.rows,
        "groups": table.groups,
        "rows_per_group": table.rows_per_group,
        "linkable": table.linkable,
        "denominators": [{**vars(one), "persons": dict(one.persons)} for one in table.denominators],
        "columns": columns,
    }
