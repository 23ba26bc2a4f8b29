"""The dataset policy: what a steward declares about a partner's file, column by column, before any row of it moves."""

import hashlib
import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from anonymisation.bounds import Column, Table, scaled
from anonymisation.bounds import Denominator as DeclaredPersons
from anonymisation.bounds import Kind as ResearchKind
from enclave.agreements.yaml_text import Marked, Path, read_marked
from enclave.errors import BadInput

ColumnClass = Literal["direct", "quasi", "sensitive", "free_text", "plain"]
Kind = Literal["category", "integer", "decimal", "date", "boolean", "text", "id"]
ShelfName = Literal["identity", "research", "text", "none"]
Type = Literal[
    "nir", "ipp", "nda", "rpps", "last_name", "first_name", "birth_date", "phone", "email", "address", "iban",
    "postcode", "city", "department", "sex", "cim10", "ccam", "finess",
]  # fmt: skip

# Types that name a person by themselves: a steward cannot declare them anything but direct.
DIRECT_TYPES: frozenset[Type] = frozenset(
    {
        "nir",
        "ipp",
        "nda",
        "rpps",
        "last_name",
        "first_name",
        "birth_date",
        "phone",
        "email",
        "address",
        "iban",
    }
)
# Threshold habitual for the French national health data; a dataset may ask for more, never for less.
SMALLEST_THRESHOLD = 11
MOST_COLUMNS, MOST_CODES = 500, 50_000
MICRO = 1_000_000
LARGEST_RHO = 100 * MICRO
ROW_UNIT = "row"
MOST_TOLD = 10
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# What pydantic calls a problem, as a steward would say it; the rest already speak plainly.
WORDS = {
    "missing": "this is missing",
    "extra_forbidden": "the house does not know this key; remove it or correct its spelling",
    "model_type": "a mapping `key: value` is expected here",
    "tuple_type": "a list is expected here",
    "string_type": "text is expected here",
}

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,29}$")]
IdType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
# Names that begin with an underscore are the house's own (`_unit`).
Name = Annotated[str, StringConstraints(pattern=r"^[^\W_][\w .'-]{0,63}$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
Rho = Annotated[int, Field(ge=1, le=LARGEST_RHO)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Persons = Annotated[int, Field(ge=1, le=10**9)]


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Unit(_Declared):
    """Whom the privacy loss protects: the person behind a column, or the row where no column says who."""

    id_type: IdType
    column: Name | None = None

    @model_validator(mode="after")
    def _row_has_no_column(self) -> Self:
        if (self.id_type == ROW_UNIT) != (self.column is None):
            raise ValueError("give the column that holds the unit, or id_type: row and no column")
        return self


class Bounds(_Declared):
    """The least and the most a value may be, as written; `digits` after the decimal point count."""

    low: str
    high: str
    digits: Annotated[int, Field(ge=0, le=9)] = 0


class Transform(_Declared):
    """A column made from a date column: its year or its month."""

    of: Annotated[Name, Field(alias="from")]
    keep: Literal["year", "month"]


class PolicyColumn(_Declared):
    """One column: whom it could name, what it holds, on which shelf it lies.

    Rows in which a column is empty that is `never_null` are put aside at intake; a mean of it then costs no count of its own.
    """

    name: Name
    class_: Annotated[ColumnClass, Field(alias="class")]
    kind: Kind
    shelf: ShelfName
    type: Type | None = None
    domain: Annotated[tuple[Code, ...], Field(min_length=1, max_length=MOST_CODES)] | None = None
    bounds: Bounds | None = None
    transform: Transform | None = None
    never_null: bool = False

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for problem in _column_problems(self):
            raise ValueError(problem)
        return self


class Caps(_Declared):
    """The most that may be lost about these people, in micro-rho: all told, by a project, by a person's questions."""

    population: Rho
    project: Rho
    person: Rho

    @model_validator(mode="after")
    def _fit_in_each_other(self) -> Self:
        if not self.person <= self.project <= self.population:
            raise ValueError("a person's cap fits in the project's, and the project's in the population's")
        return self


class Privacy(_Declared):
    """How much of one unit a question may see (rows, cells of a table, rows in one cell) unless it says so, and the caps.

    `linkable`: the partner agrees that questions take it together with another linkable dataset of the same population.
    """

    rows: Count
    groups: Count
    rows_per_group: Count | None = None
    linkable: bool = False
    caps: Caps

    @model_validator(mode="after")
    def _fit_in_each_other(self) -> Self:
        if self.rows_per_group is not None and self.rows_per_group > self.rows:
            raise ValueError("rows_per_group is at most rows")
        return self


class Disclosure(_Declared):
    """What a release of this dataset must keep to."""

    threshold: Annotated[int, Field(ge=SMALLEST_THRESHOLD, le=1000)] = SMALLEST_THRESHOLD


class Denominator(_Declared):
    """Public numbers of persons by age band, for rates: from a published table, whose source is told with them.

    `persons` holds a list for each value of `column`, a category; or one under `all` where there is no column.
    """

    name: Slug
    source: Annotated[str, StringConstraints(min_length=10, max_length=400)]
    starts: Annotated[tuple[Annotated[int, Field(ge=0, le=120)], ...], Field(min_length=1, max_length=120)]
    column: Name | None = None
    persons: Annotated[dict[Code, tuple[Persons, ...]], Field(min_length=1, max_length=1_000)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if list(self.starts) != sorted(set(self.starts)):
            raise ValueError("starts increase")
        if any(len(each) != len(self.starts) for each in self.persons.values()):
            raise ValueError("each list of persons has one number for each of starts")
        if self.column is None and set(self.persons) != {"all"}:
            raise ValueError("persons are one list under `all`, or by the values of a column")
        return self


class DatasetPolicy(_Declared):
    """Everything the house knows of a dataset before it sees it; versioned, and its hash is in the manifest."""

    dataset: Slug
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    population: Slug
    unit: Unit
    columns: Annotated[tuple[PolicyColumn, ...], Field(min_length=1, max_length=MOST_COLUMNS)]
    privacy: Privacy
    disclosure: Disclosure = Disclosure()
    denominators: Annotated[tuple[Denominator, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        for at, problem in _policy_problems(self):
            raise PydanticCustomError("unsound", "{problem}", {"problem": problem, "at": at})
        return self

    def column(self, name: str) -> PolicyColumn | None:
        """Give the column of that name."""
        return next((column for column in self.columns if column.name == name), None)

    def on(self, shelf: ShelfName) -> tuple[PolicyColumn, ...]:
        """Give the columns of a shelf, in the order declared."""
        return tuple(column for column in self.columns if column.shelf == shelf)

    @property
    def never_empty(self) -> tuple[str, ...]:
        """The columns of the partner's file that are not empty in a row that is kept."""
        said = (column for column in self.columns if column.never_null)
        return tuple(
            dict.fromkeys(column.transform.of if column.transform else column.name for column in said)
        )

    @property
    def source_columns(self) -> tuple[PolicyColumn, ...]:
        """The columns that the partner's file must have: all but those made from another."""
        return tuple(column for column in self.columns if column.transform is None)


def load_policy(text: str) -> DatasetPolicy:
    """Read a policy; raises BadInput that names every wrong place by line and column, and what to do about it."""
    marked = read_marked(text)
    try:
        return DatasetPolicy.model_validate(marked.value)
    except ValidationError as wrong:
        problems = [_told(error, marked) for error in wrong.errors(include_input=False, include_url=False)]
    raise BadInput(
        "policy_invalid",
        "\n".join(problems[:MOST_TOLD]),
        "Correct these places; docs/interfaces.md, 13, lists what a policy holds.",
        problems=len(problems),
    )


def policy_sha256(text: str) -> str:
    """Give the policy's hash: what `sha256sum` says of the file, so that anybody can check it."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_table(policy: DatasetPolicy) -> Table:
    """Give the question layer what it needs: the research shelf's columns, the unit, how much of one unit counts."""
    return Table(
        dataset=policy.dataset,
        version=policy.version,
        population=policy.population,
        unit=policy.unit.id_type,
        unit_column=policy.unit.column,
        columns=tuple(_bounded(column) for column in policy.on("research")),
        rows=policy.privacy.rows,
        groups=policy.privacy.groups,
        rows_per_group=policy.privacy.rows_per_group,
        linkable=policy.privacy.linkable,
        denominators=tuple(
            DeclaredPersons(one.name, one.source, one.starts, one.column, tuple(one.persons.items()))
            for one in policy.denominators
        ),
    )


def _bounded(column: PolicyColumn) -> Column:
    bounds = column.bounds
    return Column(
        name=column.name,
        kind=cast("ResearchKind", column.kind),  # no text and no id lie on the research shelf
        domain=column.domain,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        digits=bounds.digits if bounds else 0,
        never_null=column.never_null,
    )


def _told(error: ErrorDetails, marked: Marked) -> str:
    path = (*error["loc"], *error.get("ctx", {}).get("at", ()))
    line, column = marked.place(path)
    where = ".".join(str(step + 1) if isinstance(step, int) else step for step in path) or "the policy"
    what = WORDS.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"Line {line}, column {column}, {where}: {what}."


def _column_problems(column: PolicyColumn) -> Iterator[str]:
    """Say what does not fit together inside one column."""
    if column.type in DIRECT_TYPES and column.class_ != "direct" and column.transform is None:
        yield f"type {column.type} names a person: its class is direct"
    if column.class_ == "direct" and column.shelf not in {"identity", "none"}:
        yield "a direct identifier lies on the identity shelf, or on none"
    if (column.class_ == "free_text") != (column.shelf == "text") and column.shelf != "none":
        yield "free text lies on the text shelf, and nothing else does; shelf: none leaves a column out"
    if column.shelf == "research" and column.kind in {"text", "id"}:
        yield "the research shelf holds categories, numbers, dates and booleans: choose another shelf or kind"
    if column.transform is not None and (column.shelf != "research" or column.kind != "integer"):
        yield "the year or the month of a date is an integer on the research shelf"
    if column.never_null and column.shelf != "research":
        yield "never_null is said of columns on the research shelf"
    yield from _domain_problems(column)


def _domain_problems(column: PolicyColumn) -> Iterator[str]:
    needs_bounds = column.kind in {"integer", "decimal", "date"}
    if column.domain is not None and column.kind != "category":
        yield "only a category has a domain: give bounds, or kind: category"
    elif column.kind == "category" and column.domain is None and column.shelf == "research":
        yield "a category on the research shelf needs its domain, from a public list and not from the data"
    if column.bounds is not None and not needs_bounds:
        yield "only numbers and dates have bounds"
    elif column.bounds is None and needs_bounds and column.shelf == "research":
        yield "numbers and dates on the research shelf need bounds: {low, high}"
    if column.domain is not None and len(set(column.domain)) < len(column.domain):
        yield "the domain says a value twice"
    if column.bounds is not None and needs_bounds:
        yield from _bounds_problems(column.kind, column.bounds)


def _bounds_problems(kind: Kind, bounds: Bounds) -> Iterator[str]:
    if bounds.digits and kind != "decimal":
        yield "only a decimal has digits"
    low, high = _read(kind, bounds.low, bounds.digits), _read(kind, bounds.high, bounds.digits)
    if low is None or high is None:
        yield f"a bound is not a {kind} (a date is YYYY-MM-DD; a decimal has at most `digits` after the point)"
    elif low > high:
        yield "low is above high"


def _read(kind: Kind, text: str, digits: int) -> int | None:
    """Read a bound as a whole number that can be compared; None when it is not written as its kind."""
    if kind != "date":
        return scaled(text, digits)
    try:
        return date.fromisoformat(text).toordinal() if DAY.fullmatch(text) else None
    except ValueError:
        return None


def _policy_problems(policy: DatasetPolicy) -> Iterator[tuple[Path, str]]:
    """Say what does not fit together between columns, and where."""
    names: set[str] = set()
    for index, column in enumerate(policy.columns):
        if column.name in names:
            yield ("columns", index), f"the column {column.name} is declared twice"
        names.add(column.name)
    yield from _unit_problems(policy)
    for index, column in enumerate(policy.columns):
        source = policy.column(column.transform.of) if column.transform else None
        if column.transform and (source is None or source.kind != "date"):
            yield ("columns", index, "transform"), f"{column.transform.of} is not a declared date column"
    yield from _denominator_problems(policy)
    if not policy.on("research"):
        yield ("columns",), "no column lies on the research shelf: there would be nothing to ask"


def _denominator_problems(policy: DatasetPolicy) -> Iterator[tuple[Path, str]]:
    names = [one.name for one in policy.denominators]
    for index, one in enumerate(policy.denominators):
        if names.index(one.name) < index:
            yield ("denominators", index), f"the denominator {one.name} is declared twice"
        if one.column is None:
            continue
        column = policy.column(one.column)
        if column is None or column.shelf != "research" or set(column.domain or ()) != set(one.persons):
            yield (
                ("denominators", index),
                f"persons are told by the values of {one.column}: a category of the research shelf, and all its values",
            )


def _unit_problems(policy: DatasetPolicy) -> Iterator[tuple[Path, str]]:
    if policy.unit.column is None:
        if (policy.privacy.rows, policy.privacy.groups) != (1, 1):
            yield ("privacy",), "where the unit is the row, rows and groups are 1"
        if policy.privacy.linkable:
            yield (
                ("privacy", "linkable"),
                "where the unit is the row, nobody knows which rows of another dataset are whose",
            )
        return
    unit = policy.column(policy.unit.column)
    if unit is None:
        yield ("unit", "column"), f"the unit's column {policy.unit.column} is not declared"
    elif (unit.class_, unit.kind, unit.shelf) != ("direct", "id", "identity"):
        yield ("unit", "column"), f"the unit's column {unit.name} is class direct, kind id, shelf identity"
