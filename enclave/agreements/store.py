"""Keeps what was agreed, as lines that are only ever appended; what holds now is the newest line."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from enclave.agreements.objections import CompactionLine, entries_known
from enclave.agreements.tables import (
    AgreementLine,
    DatasetLine,
    DatasetVersionLine,
    GrantLine,
    ManifestLine,
    PartnerLine,
    ProjectLine,
    ShredLine,
)
from enclave.agreements.words import (
    Agreement,
    Dataset,
    DatasetVersion,
    Grant,
    MemberRole,
    OnSilence,
    Partner,
    Project,
    Use,
)
from enclave.errors import NotFound, Refused
from enclave.house_table import Line, newest, reading, writing
from enclave.receipt import Receipt, require

BETWEEN = " "  # ids and uses hold no space


class AgreementStore:
    """Partners, datasets, projects, grants and agreements; every write names the event it was recorded as."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- partners

    def partners(self) -> tuple[Partner, ...]:
        with reading(self._engine) as session:
            return tuple(_partner(line) for line in newest(session, PartnerLine, PartnerLine.id))

    def partner(self, partner: str) -> Partner:
        """Raises `NotFound`."""
        return _one("partner", partner, self.partners())

    def put_partner(self, partner: Partner, receipt: Receipt) -> None:
        """Declare a partner, or declare it anew."""
        self._append(
            PartnerLine,
            "admin.partner",
            f"partner:{partner.id}",
            receipt,
            id=partner.id,
            title_fr=partner.title_fr,
            title_en=partner.title_en,
            delegates=_join(partner.delegates),
            veto=partner.veto,
            answer_days=partner.answer_days,
            on_silence=partner.on_silence,
        )

    # --- datasets and their versions

    def datasets(self) -> tuple[Dataset, ...]:
        return self._datasets()

    def _datasets(self, *where: Any) -> tuple[Dataset, ...]:
        with reading(self._engine) as session:
            return tuple(
                _dataset(line, _current_version(session, line.id), entries_known(session, line.population))
                for line in newest(session, DatasetLine, DatasetLine.id, where=where)
            )

    def dataset(self, dataset: str) -> Dataset:
        """Raises `NotFound`."""
        return _one("dataset", dataset, self._datasets(col(DatasetLine.id) == dataset))

    def versions(self, dataset: str) -> tuple[DatasetVersion, ...]:
        """Every version ever brought in, oldest first, shredded ones too."""
        with reading(self._engine) as session:
            return _versions(session, dataset)

    def put_dataset(self, dataset: Dataset, receipt: Receipt) -> None:
        """Declare a dataset or declare it anew; its version comes from `publish_version`, never from here.

        Raises `NotFound` for an unknown partner, `Refused("population_fixed")` when a dataset that holds data
        would change its population: what was spent stays with the people it was spent on.
        """
        self.partner(dataset.partner)
        self._population_kept(dataset)
        self._append(
            DatasetLine,
            "admin.dataset",
            f"dataset:{dataset.id}",
            receipt,
            id=dataset.id,
            partner=dataset.partner,
            population=dataset.population,
            title_fr=dataset.title_fr,
            title_en=dataset.title_en,
            questions_only=dataset.questions_only,
            confirmed_policy_sha256=dataset.confirmed_policy_sha256,
        )

    def _population_kept(self, dataset: Dataset) -> None:
        before = {one.id: one for one in self.datasets()}.get(dataset.id)
        if before is not None and before.population != dataset.population and self.versions(dataset.id):
            raise Refused(
                "population_fixed",
                f"The dataset {dataset.id} holds data about {before.population}; its population is fixed.",
                "Declare another dataset.",
                dataset=dataset.id,
            )

    def publish_version(
        self,
        dataset: str,
        version: int,
        *,
        manifest_sha256: str,
        policy_sha256: str,
        policy_yaml: str,
        receipt: Receipt,
    ) -> None:
        """Make a version that was brought in the current one.

        Raises `Refused("version_not_next")` unless it follows the last one.
        """
        self.dataset(dataset)
        require(receipt, "data.import", f"dataset:{dataset}")
        with writing(self._engine) as session:
            _follows(_versions(session, dataset), dataset, version)
            _add(
                session,
                DatasetVersionLine,
                receipt,
                dataset=dataset,
                version=version,
                manifest_sha256=manifest_sha256,
                policy_sha256=policy_sha256,
                policy_yaml=policy_yaml,
            )

    def publish_compacted(
        self, one: DatasetVersion, version: int, manifest_sha256: str, entries: int, receipt: Receipt
    ) -> None:
        """Make a version current that is `one` without those who objected by the first `entries` of their list."""
        require(receipt, "data.compact", f"dataset:{one.dataset}")
        with writing(self._engine) as session:
            _follows(_versions(session, one.dataset), one.dataset, version)
            _add(
                session,
                DatasetVersionLine,
                receipt,
                dataset=one.dataset,
                version=version,
                manifest_sha256=manifest_sha256,
                policy_sha256=one.policy_sha256,
                policy_yaml=one.policy_yaml,
            )
            _add(
                session,
                CompactionLine,
                receipt,
                dataset=one.dataset,
                version=version,
                from_version=one.version,
                entries=entries,
            )

    def renew_manifest(self, dataset: str, version: int, manifest_sha256: str, receipt: Receipt) -> None:
        """Make a manifest whose keys were wrapped anew the recorded one. Raises `NotFound`."""
        require(receipt, "key.rotate", f"dataset:{dataset}")
        with writing(self._engine) as session:
            _one_version(_versions(session, dataset), dataset, version)
            _add(
                session,
                ManifestLine,
                receipt,
                dataset=dataset,
                version=version,
                manifest_sha256=manifest_sha256,
            )

    def shredded_at(self, dataset: str) -> dict[int, int]:
        """The versions whose keys were shredded, with the index of that act in the trail."""
        with reading(self._engine) as session:
            lines = session.exec(select(ShredLine).where(col(ShredLine.dataset) == dataset))
            return {line.version: line.event_index for line in lines}

    def mark_shredded(self, dataset: str, version: int, receipt: Receipt) -> None:
        """Say that the keys of a version are gone; it is never current again. Raises `NotFound`."""
        require(receipt, "data.shred", f"dataset:{dataset}")
        with writing(self._engine) as session:
            _one_version(_versions(session, dataset), dataset, version)
            _add(session, ShredLine, receipt, dataset=dataset, version=version)

    # --- projects and who is in them

    def projects(self) -> tuple[Project, ...]:
        return self._projects()

    def _projects(self, *where: Any) -> tuple[Project, ...]:
        with reading(self._engine) as session:
            return tuple(
                _project(line, _members(session, line.id))
                for line in newest(session, ProjectLine, ProjectLine.id, where=where)
            )

    def project(self, project: str) -> Project:
        """Raises `NotFound`."""
        return _one("project", project, self._projects(col(ProjectLine.id) == project))

    def projects_of(self, person: str) -> tuple[Project, ...]:
        """The projects the person is a member of now, closed ones too."""
        return tuple(project for project in self.projects() if person in project.people)

    def ever_members(self, project: str) -> frozenset[str]:
        """Everybody who is or was a member: none of them reviews what leaves it."""
        with reading(self._engine) as session:
            return frozenset(session.exec(select(GrantLine.person).where(col(GrantLine.project) == project)))

    def put_project(self, project: Project, receipt: Receipt) -> None:
        """Declare a project, or declare it anew; members come from `grant`, never from here."""
        self._append(
            ProjectLine,
            "admin.project",
            f"project:{project.id}",
            receipt,
            id=project.id,
            title_fr=project.title_fr,
            title_en=project.title_en,
            ends_on=project.ends_on,
            active=project.active,
        )

    def grant(self, grant: Grant, receipt: Receipt) -> None:
        """Give a person a place in a project. Raises `NotFound` for an unknown project."""
        self.project(grant.project)
        self._put_grant(grant.person, grant.project, grant.role.value, receipt)

    def end_grant(self, person: str, project: str, receipt: Receipt) -> None:
        """Take a person's place in a project away."""
        self.project(project)
        self._put_grant(person, project, None, receipt)

    def _put_grant(self, person: str, project: str, role: str | None, receipt: Receipt) -> None:
        require(receipt, "admin.grant", f"person:{person}")
        self._append(
            GrantLine, "admin.grant", f"project:{project}", receipt, person=person, project=project, role=role
        )

    # --- agreements

    def agreements(self, project: str | None = None) -> tuple[Agreement, ...]:
        """Every agreement as it stands, or those of a project."""
        with reading(self._engine) as session:
            lines = newest(session, AgreementLine, AgreementLine.id)
        return tuple(_agreement(line) for line in lines if project in (None, line.project))

    def put_agreement(self, agreement: Agreement, receipt: Receipt) -> None:
        """Sign an agreement, or amend it under its id.

        Raises `NotFound` for an unknown dataset or project, `Refused("not_its_data")` when the partner is not
        the one the dataset belongs to.
        """
        self.project(agreement.project)
        if self.dataset(agreement.dataset).partner != agreement.partner:
            raise Refused(
                "not_its_data",
                f"The dataset {agreement.dataset} does not belong to {agreement.partner}.",
                "Name the partner the dataset belongs to.",
                dataset=agreement.dataset,
                partner=agreement.partner,
            )
        self._append(
            AgreementLine,
            "admin.agreement",
            f"agreement:{agreement.id}",
            receipt,
            id=agreement.id,
            partner=agreement.partner,
            dataset=agreement.dataset,
            project=agreement.project,
            purpose=agreement.purpose,
            valid_from=agreement.valid_from,
            valid_to=agreement.valid_to,
            allows=_join(agreement.allows),
        )

    def datasets_of(self, project: str) -> tuple[Dataset, ...]:
        """The datasets the project has ever been allowed to use."""
        ids = {agreement.dataset for agreement in self.agreements(project)}
        return tuple(dataset for dataset in self.datasets() if dataset.id in ids)

    def partners_of(self, project: str) -> tuple[Partner, ...]:
        """The partners whose data the project has ever been allowed to use: each may have a veto."""
        ids = {agreement.partner for agreement in self.agreements(project)}
        return tuple(partner for partner in self.partners() if partner.id in ids)

    def _append(self, table: type[Line], act: str, about: str, receipt: Receipt, **values: Any) -> None:
        require(receipt, act, about)
        with writing(self._engine) as session:
            _add(session, table, receipt, **values)


def _add(session: Session, table: type[Line], receipt: Receipt, **values: Any) -> None:
    session.add(table(event_id=receipt.event_id, event_index=receipt.index, **values))


def _join(values: frozenset[str] | frozenset[Use]) -> str:
    return BETWEEN.join(sorted(values))


Named = TypeVar("Named", Partner, Dataset, Project)


def _one(kind: str, wanted: str, among: Sequence[Named]) -> Named:
    for one in among:
        if one.id == wanted:
            return one
    raise NotFound(f"no_such_{kind}", f"There is no {kind} named {wanted}.", "Check its id.", id=wanted)


def _follows(versions: Sequence[DatasetVersion], dataset: str, version: int) -> None:
    last = max((one.version for one in versions), default=0)
    if version != last + 1:
        raise Refused(
            "version_not_next",
            f"The dataset {dataset} is at version {last}; version {version} does not follow it.",
            "Bring the file in again.",
            dataset=dataset,
            version=version,
        )


def _one_version(versions: Sequence[DatasetVersion], dataset: str, version: int) -> DatasetVersion:
    for one in versions:
        if one.version == version and not one.shredded:
            return one
    raise NotFound(
        "no_such_version",
        f"The dataset {dataset} has no version {version} whose keys are there.",
        "Check its versions.",
        dataset=dataset,
        version=version,
    )


def _partner(line: PartnerLine) -> Partner:
    return Partner(
        id=line.id,
        title_fr=line.title_fr,
        title_en=line.title_en,
        delegates=frozenset(line.delegates.split()),
        veto=line.veto,
        answer_days=line.answer_days,
        on_silence=cast("OnSilence", line.on_silence),
    )


def _versions(session: Session, dataset: str) -> tuple[DatasetVersion, ...]:
    gone = set(session.exec(select(ShredLine.version).where(col(ShredLine.dataset) == dataset)))
    where = [col(ManifestLine.dataset) == dataset]
    renewed = {
        line.version: line.manifest_sha256
        for line in newest(session, ManifestLine, ManifestLine.version, where=where)
    }
    lines = session.exec(
        select(DatasetVersionLine)
        .where(col(DatasetVersionLine.dataset) == dataset)
        .order_by(col(DatasetVersionLine.version))
    )
    return tuple(
        DatasetVersion(
            dataset=line.dataset,
            version=line.version,
            manifest_sha256=renewed.get(line.version, line.manifest_sha256),
            policy_sha256=line.policy_sha256,
            policy_yaml=line.policy_yaml,
            shredded=line.version in gone,
        )
        for line in lines
    )


def _current_version(session: Session, dataset: str) -> DatasetVersion | None:
    """The last version brought in, unless it was shredded: an older one never becomes current again."""
    last = next(reversed(_versions(session, dataset)), None)
    return None if last is None or last.shredded else last


def _dataset(line: DatasetLine, current: DatasetVersion | None, objections: int) -> Dataset:
    declared = Dataset(
        id=line.id,
        partner=line.partner,
        population=line.population,
        title_fr=line.title_fr,
        title_en=line.title_en,
        questions_only=line.questions_only,
        confirmed_policy_sha256=line.confirmed_policy_sha256,
        objections=objections,
    )
    if current is None:
        return declared
    return replace(
        declared,
        version=current.version,
        manifest_sha256=current.manifest_sha256,
        policy_sha256=current.policy_sha256,
        policy_yaml=current.policy_yaml,
    )


def _members(session: Session, project: str) -> tuple[Grant, ...]:
    lines = newest(session, GrantLine, GrantLine.person, where=[col(GrantLine.project) == project])
    return tuple(
        Grant(line.person, line.project, MemberRole(line.role)) for line in lines if line.role is not None
    )


def _project(line: ProjectLine, members: tuple[Grant, ...]) -> Project:
    return Project(
        id=line.id,
        title_fr=line.title_fr,
        title_en=line.title_en,
        ends_on=line.ends_on,
        active=line.active,
        members=members,
    )


def _agreement(line: AgreementLine) -> Agreement:
    return Agreement(
        id=line.id,
        partner=line.partner,
        dataset=line.dataset,
        project=line.project,
        purpose=line.purpose,
        valid_from=line.valid_from,
        valid_to=line.valid_to,
        allows=frozenset(Use(use) for use in line.allows.split()),
    )
