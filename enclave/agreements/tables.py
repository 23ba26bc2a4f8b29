"""The tables of agreements: lines appended once, never changed."""

from datetime import date

from sqlalchemy import UniqueConstraint

from enclave.house_table import Line


class PartnerLine(Line, table=True):
    __tablename__ = "partner"
    id: str
    title_fr: str
    title_en: str
    delegates: str
    veto: bool
    answer_days: int
    on_silence: str


class DatasetLine(Line, table=True):
    __tablename__ = "dataset"
    id: str
    partner: str
    population: str
    title_fr: str
    title_en: str
    questions_only: bool
    confirmed_policy_sha256: str | None


class DatasetVersionLine(Line, table=True):
    __tablename__ = "dataset_version"
    __table_args__ = (UniqueConstraint("dataset", "version"),)
    dataset: str
    version: int
    manifest_sha256: str
    policy_sha256: str
    policy_yaml: str


class ManifestLine(Line, table=True):
    """The manifest of a version after a rotation: the same data, its keys wrapped anew."""

    __tablename__ = "dataset_manifest"
    dataset: str
    version: int
    manifest_sha256: str


class ShredLine(Line, table=True):
    __tablename__ = "dataset_shred"
    __table_args__ = (UniqueConstraint("dataset", "version"),)
    dataset: str
    version: int


class ProjectLine(Line, table=True):
    __tablename__ = "project"
    id: str
    title_fr: str
    title_en: str
    ends_on: date
    active: bool


class AgreementLine(Line, table=True):
    __tablename__ = "agreement"
    id: str
    partner: str
    dataset: str
    project: str
    purpose: str
    valid_from: date
    valid_to: date
    allows: str


class GrantLine(Line, table=True):
    __tablename__ = "project_grant"
    person: str
    project: str
    role: str | None  # None takes the place away
