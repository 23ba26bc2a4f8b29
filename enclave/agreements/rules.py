"""May this person, is this object ready, does the agreement allow it today: each rule written once."""

from collections.abc import Iterable
from datetime import date

from enclave.agreements.words import Agreement, Dataset, Project, Use
from enclave.errors import Refused
from enclave.people import Person, Role

RESEARCHERS = frozenset({Role.RESEARCHER, Role.PROJECT_LEAD})


def is_active(person: Person) -> None:
    """Refuse a person whose access has been closed."""
    if not person.active:
        raise Refused(
            "person_inactive", f"The access of {person.id} is closed.", "Ask the operator.", person=person.id
        )


def has_role(person: Person, allowed: frozenset[Role]) -> None:
    """Refuse an active person who holds none of these roles."""
    is_active(person)
    if not person.roles & allowed:
        wanted = ", ".join(sorted(allowed))
        raise Refused(
            "role_missing",
            f"This needs one of these roles: {wanted}.",
            "Ask the operator for the role.",
            person=person.id,
            roles=wanted,
        )


def is_member(person: Person, project: Project) -> None:
    """Refuse a person who is not a member of the project today."""
    if person.id not in project.people:
        raise Refused(
            "not_a_member",
            f"{person.id} is not a member of the project {project.id}.",
            "Ask the lead of the project.",
            person=person.id,
            project=project.id,
        )


def may_work(person: Person, project: Project) -> None:
    """The person question: an active researcher or lead, member of the project."""
    has_role(person, RESEARCHERS)
    is_member(person, project)


def project_open(project: Project, today: date) -> None:
    """Refuse a project that was closed or whose last day has passed."""
    if not project.active:
        raise Refused("project_closed", f"The project {project.id} is closed.", project=project.id)
    if today > project.ends_on:
        raise Refused(
            "project_ended",
            f"The project {project.id} ended on {project.ends_on.isoformat()}.",
            "Ask for an extension of the project.",
            project=project.id,
            day=project.ends_on.isoformat(),
        )


def has_current_version(dataset: Dataset) -> None:
    """Refuse a dataset nothing has been brought in for yet, or whose last version was shredded."""
    if dataset.version is None:
        raise Refused(
            "no_current_version",
            f"The dataset {dataset.id} holds no data yet.",
            "Wait until the partner's file has been brought in.",
            dataset=dataset.id,
        )


def use_allowed_by_dataset(dataset: Dataset, use: Use) -> None:
    """Refuse extracts from a dataset its partner opened to questions only."""
    if dataset.questions_only and use is not Use.QUESTIONS:
        raise Refused(
            "questions_only",
            f"The dataset {dataset.id} answers questions only.",
            "Ask a question instead of an extract.",
            dataset=dataset.id,
        )


def covers(agreement: Agreement, today: date) -> None:
    """Refuse an agreement that has not begun or has ended."""
    if today < agreement.valid_from:
        raise Refused(
            "agreement_not_begun",
            f"The agreement {agreement.id} begins on {agreement.valid_from.isoformat()}.",
            agreement=agreement.id,
            day=agreement.valid_from.isoformat(),
        )
    if today > agreement.valid_to:
        raise Refused(
            "agreement_ended",
            f"The agreement {agreement.id} ended on {agreement.valid_to.isoformat()}.",
            "Ask the partner to renew it.",
            agreement=agreement.id,
            day=agreement.valid_to.isoformat(),
        )


def allows(agreement: Agreement, use: Use) -> None:
    """Refuse a use the agreement does not name."""
    if use not in agreement.allows:
        raise Refused(
            "use_not_allowed",
            f"The agreement {agreement.id} does not allow {use}.",
            "Ask the partner to widen it.",
            agreement=agreement.id,
            use=use.value,
        )


def agreed(
    agreements: Iterable[Agreement], project: Project, dataset: Dataset, use: Use, today: date
) -> Agreement:
    """The agreement question: give the agreement that lets this project use this dataset so today.

    Raises the reason of the agreement that came nearest (the last to end), or `no_agreement`.
    """
    ours = [one for one in agreements if one.project == project.id and one.dataset == dataset.id]
    refusal = Refused(
        "no_agreement",
        f"No agreement lets the project {project.id} use the dataset {dataset.id}.",
        "Ask the partner for an agreement.",
        project=project.id,
        dataset=dataset.id,
    )
    for agreement in sorted(ours, key=lambda one: one.valid_to):
        try:
            covers(agreement, today)
            allows(agreement, use)
        except Refused as reason:
            refusal = reason
        else:
            return agreement
    raise refusal


def may_ask(
    person: Person,
    project: Project,
    dataset: Dataset,
    agreements: Iterable[Agreement],
    today: date,
    use: Use = Use.QUESTIONS,
) -> Agreement:
    """Ask the person, the object and the agreement question in turn; give the agreement that allows it."""
    may_work(person, project)
    project_open(project, today)
    agreement = agreed(agreements, project, dataset, use, today)
    use_allowed_by_dataset(dataset, use)
    has_current_version(dataset)
    return agreement
