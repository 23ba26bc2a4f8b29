"""The records of Question v1: what may be asked, and nothing that could be run."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from anonymisation import expressions
from anonymisation.bounds import DECIMAL

MAX_LETS = 32
MAX_ASKS = 20
MAX_KEYS = 4
MAX_RHO_MICRO = 100_000_000
MAX_ROWS_PER_UNIT = 10_000
MAX_EDGES = 200
MAX_PROBS = 19
MAX_COLUMNS = 8
MAX_PERSONS = 10**9
MAX_FEATURES = 8

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
AnswerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Name = Annotated[str, AfterValidator(expressions.name)]
Expression = Annotated[tuple[Any, ...], BeforeValidator(expressions.normal)]
Edge = Annotated[
    str,
    BeforeValidator(lambda raw: str(raw) if type(raw) is int else raw),
    Field(min_length=1, max_length=30),
]
Probability = Annotated[str, Field(pattern=r"^0\.[0-9]{1,4}$")]
Persons = Annotated[StrictInt, Field(ge=1, le=MAX_PERSONS)]
Bound = Annotated[
    str,
    BeforeValidator(lambda raw: str(raw) if type(raw) is int else raw),
    Field(pattern=f"^{DECIMAL.pattern}$"),
]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Let(Record):
    """A row-wise recode: a new column computed from one row, before anything is bounded."""

    name: Name
    expr: Expression


class Unit(Record):
    """At most `rows` rows in at most `groups` groups are kept of each privacy unit (K and L), of each group `rows_per_group`."""

    rows: StrictInt | None = Field(None, ge=1, le=MAX_ROWS_PER_UNIT)
    groups: StrictInt | None = Field(None, ge=1, le=MAX_ROWS_PER_UNIT)
    rows_per_group: StrictInt | None = Field(None, ge=1, le=MAX_ROWS_PER_UNIT)


class Ask(Record):
    """One statistic; `low` and `high` clip the values of `column`. Which arguments a statistic takes is in `statistics`."""

    name: AnswerName
    stat: str = Field(max_length=40)
    column: Name | None = None
    low: Bound | None = None
    high: Bound | None = None
    columns: tuple[Name, ...] = Field((), max_length=MAX_COLUMNS)
    event: Name | None = None
    edges: tuple[Edge, ...] = Field((), max_length=MAX_EDGES)
    probs: tuple[Probability, ...] = Field((), max_length=MAX_PROBS)
    standard: str | None = Field(None, max_length=40)
    persons: tuple[Persons, ...] = Field((), max_length=MAX_EDGES)
    denominator: Identifier | None = None


class Feature(Record):
    """A unit's own rows in the second dataset, in one value: `exists`, `count`, `sum`, `min`, `max`, or `first`/`last` by `order`."""

    name: Name
    stat: str = Field(max_length=40)
    column: Name | None = None
    order: Name | None = None
    low: Bound | None = None
    high: Bound | None = None


class Features(Record):
    """A second dataset of the same population, and what is taken from it for each unit as columns of the first."""

    dataset: Identifier
    let: tuple[Let, ...] = Field((), max_length=MAX_LETS)
    where: Expression | None = None
    take: tuple[Feature, ...] = Field(min_length=1, max_length=MAX_FEATURES)


class Question(Record):
    """Question v1."""

    v: Literal[1]
    dataset: Identifier
    features: Features | None = None
    where: Expression | None = None
    let: tuple[Let, ...] = Field((), max_length=MAX_LETS)
    unit: Unit = Unit()
    by: tuple[Name, ...] = Field((), max_length=MAX_KEYS)
    ask: tuple[Ask, ...] = Field(min_length=1, max_length=MAX_ASKS)
    rho_micro: StrictInt = Field(ge=1, le=MAX_RHO_MICRO)
