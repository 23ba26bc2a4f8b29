"""An event as a FHIR R4 AuditEvent, after IHE Basic Audit Log Patterns (BALP, which is FHIR 4.0.1).

A mapper of our own: the libraries that model FHIR are large, and are the judge in the tests instead.
"""

from collections.abc import Mapping
from typing import Any, Final

DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
BALP_ENTITY: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
OWN: Final = "urn:enclave:event-type"
PURPOSE: Final = "urn:enclave:purpose"
ACTOR: Final = "urn:enclave:actor"
ROLE: Final = "urn:enclave:role"
OBJECT: Final = "urn:enclave:object"
SHA256: Final = "urn:enclave:sha256"

# DICOM part 16, context group 400: what kind of thing happened, by the first word of our type or the whole of it.
KINDS: Final = {
    "auth": ("110114", "User Authentication"),
    "session": ("110100", "Application Activity"),
    "data.import": ("110107", "Import"),
    "data": ("110112", "Query"),
    "dp": ("110112", "Query"),
    "key": ("110113", "Security Alert"),
    "release.package": ("110106", "Export"),
    "release.download": ("110106", "Export"),
    "release": ("110100", "Application Activity"),
    "admin": ("110137", "User Security Attributes Changed"),
    "audit.start": ("110100", "Application Activity"),
    "audit.stop": ("110100", "Application Activity"),
    "audit.heartbeat": ("110100", "Application Activity"),
    "audit": ("110101", "Audit Log Used"),
    "system": ("110100", "Application Activity"),
}
# audit-event-action: create, read, update, delete, execute.
ACTIONS: Final = {
    "data.import": "C",
    "data.query": "E",
    "data.catalogue": "R",
    "data.shred": "D",
    "data.objection": "C",
    "key.create": "C",
    "release.create": "C",
    "release.view": "R",
    "release.download": "R",
    "release.package": "C",
    "audit.search": "R",
    "audit.export": "R",
}
EXECUTE, UPDATE = "E", "U"
OUTCOMES: Final = {"success": "0", "minor": "4", "denied": "4", "failed": "8"}


def audit_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Give the AuditEvent of an event as it stands in the log."""
    code, display = _kind(event["type"])
    told: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": event["id"],
        "type": {"system": DICOM, "code": code, "display": display},
        "subtype": [{"system": OWN, "code": event["type"]}],
        "action": _action(event["type"]),
        "recorded": event["ts"],
        "agent": [_agent(event)],
        "source": _source(event),
        "entity": [_correlation(event), *(_entity(each) for each in event.get("object", ()))],
    }
    if event["phase"] != "intent":
        told["outcome"] = OUTCOMES[event.get("outcome", "success")]
        told["outcomeDesc"] = "/".join(
            word for word in (event.get("outcome", "success"), event.get("reason")) if word
        )
    if "purpose" in event:
        told["purposeOfEvent"] = [{"coding": [{"system": PURPOSE, "code": event["purpose"]}]}]
    return told


def _kind(act: str) -> tuple[str, str]:
    return KINDS.get(act) or KINDS[act.partition(".")[0]]


def _action(act: str) -> str:
    return ACTIONS.get(act) or (UPDATE if act.startswith("admin.") else EXECUTE)


def _agent(event: Mapping[str, Any]) -> dict[str, Any]:
    actor = event["actor"]
    person = actor["kind"] == "person"
    kind = ("110153", "Source Role ID") if person else ("110150", "Application")
    told: dict[str, Any] = {
        "type": {"coding": [{"system": DICOM, "code": kind[0], "display": kind[1]}]},
        "who": {"identifier": {"system": ACTOR, "value": actor["id"]}},
        "requestor": person,
    }
    if "role" in actor:
        told["role"] = [{"coding": [{"system": ROLE, "code": actor["role"]}]}]
    return told


def _source(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "site": event["log"],
        "observer": {"identifier": {"system": ACTOR, "value": event["source"]["service"]}},
        "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4"}],
    }


def _correlation(event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "what": {"identifier": {"value": event["corr"]}},
        "type": {"system": BALP_ENTITY, "code": "XrequestId"},
    }


def _entity(each: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "what": {"identifier": {"system": OBJECT, "value": f"{each['kind']}:{each['id']}"}},
        "type": {"system": ENTITY_TYPE, "code": "2", "display": "System Object"},
    }
    if "sha256" in each:
        told["detail"] = [{"type": SHA256, "valueString": each["sha256"]}]
    return told
