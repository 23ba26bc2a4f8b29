"""One release as a W3C PROV document (PROV-JSON): which persons did what to which bytes, in order."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

NAMESPACE: Final = "urn:enclave:"
PACKAGE: Final = "release.package"
SUBMIT: Final = "release.submit"

Event = Mapping[str, Any]
Document = dict[str, dict[str, Any]]


def provenance(events: Iterable[Event], request: str, origin: str) -> Document:
    """Give the PROV document of the events of one release request, from its log."""
    made: Document = {
        "prefix": {"enclave": NAMESPACE, "log": f"{NAMESPACE}log/{origin}/"},
        "entity": {_request(request): {"prov:type": "release request"}},
        "activity": {},
        "agent": {},
        "wasAssociatedWith": {},
        "used": {},
        "wasGeneratedBy": {},
        "wasDerivedFrom": {},
        "wasInformedBy": {},
    }
    before: str | None = None
    for event in events:
        before = _add(made, event, request, before)
    return {name: part for name, part in made.items() if part}


def _add(made: Document, event: Event, request: str, before: str | None) -> str:
    activity, agent = f"log:{event['seq']}", f"enclave:actor/{event['actor']['id']}"
    made["activity"][activity] = {
        "prov:startTime": event["occurred"],
        "prov:endTime": event["ts"],
        "prov:type": event["type"],
        **{f"enclave:{name}": event[name] for name in ("phase", "outcome", "reason") if name in event},
    }
    kind = "prov:Person" if event["actor"]["kind"] == "person" else "prov:SoftwareAgent"
    made["agent"].setdefault(agent, {"prov:type": kind})
    _relate(made, "wasAssociatedWith", activity, agent, ("prov:activity", "prov:agent"))
    _relate(made, "used", activity, _request(request), ("prov:activity", "prov:entity"))
    if before is not None:
        _relate(made, "wasInformedBy", activity, before, ("prov:informed", "prov:informant"))
    _files(made, event, activity)
    return activity


def _files(made: Document, event: Event, activity: str) -> None:
    release = event["release"]
    files = [_bytes(made, each["sha256"], "output file") for each in release.get("files", ())]
    for file in files:
        relation = "wasGeneratedBy" if event["type"] == SUBMIT else "used"
        pair = (file, activity) if event["type"] == SUBMIT else (activity, file)
        names = (
            ("prov:entity", "prov:activity") if event["type"] == SUBMIT else ("prov:activity", "prov:entity")
        )
        _relate(made, relation, *pair, names)
    if event["type"] == PACKAGE and "artefact_sha256" in release:
        package = _bytes(made, release["artefact_sha256"], "release package")
        _relate(made, "wasGeneratedBy", package, activity, ("prov:entity", "prov:activity"))
        for file in files:
            _relate(made, "wasDerivedFrom", package, file, ("prov:generatedEntity", "prov:usedEntity"))


def _bytes(made: Document, sha256: str, kind: str) -> str:
    name = f"enclave:sha256/{sha256}"
    made["entity"].setdefault(name, {"prov:type": kind})
    return name


def _request(request: str) -> str:
    return f"enclave:request/{request}"


def _relate(made: Document, relation: str, one: str, other: str, names: tuple[str, str]) -> None:
    made[relation][f"_:{relation}{len(made[relation])}"] = dict(zip(names, (one, other), strict=True))
