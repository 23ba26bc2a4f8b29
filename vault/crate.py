"""The RO-Crate 1.2 description of a release, with the Five Safes vocabulary for its checks and decisions.

Written by hand as JSON-LD: the graph is small, fixed and must be the same bytes each time. The vocabulary is that
of the Five Safes RO-Crate profile 0.4; conformance to the profile is not claimed, as it packages a workflow run.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from vault.release_words import PackageRequest, Vote, one_line

CONTEXT: Final = "https://w3id.org/ro/crate/1.2/context"
SPECIFICATION: Final = "https://w3id.org/ro/crate/1.2"
DISCLOSURE_CHECK: Final = "https://w3id.org/shp#DisclosureCheck"
SIGN_OFF: Final = "https://w3id.org/shp#SignOff"
COMPLETED: Final = "http://schema.org/CompletedActionStatus"
METADATA_NAME: Final = "ro-crate-metadata.json"
HOUSE: Final = "#house"
POLICY: Final = "#disclosure-policy"
FALLBACK_TYPE: Final = "application/octet-stream"

Entity = dict[str, Any]


def crate_metadata(request: PackageRequest, files: Mapping[str, bytes]) -> bytes:
    """Give `ro-crate-metadata.json` for the files of a crate (path inside the crate -> content)."""
    outputs = [_file(path, content) for path, content in files.items()]
    actions = [_output_action(request, files), _automatic_check(request), *map(_sign_off, request.votes)]
    graph = [
        _descriptor(),
        _root(request, outputs, actions),
        *outputs,
        *actions,
        *_context(request),
    ]
    return orjson.dumps({"@context": CONTEXT, "@graph": graph}, option=orjson.OPT_INDENT_2)


def _descriptor() -> Entity:
    return {
        "@id": METADATA_NAME,
        "@type": "CreativeWork",
        "conformsTo": _ref(SPECIFICATION),
        "about": _ref("./"),
    }


def _root(request: PackageRequest, outputs: list[Entity], actions: list[Entity]) -> Entity:
    return {
        "@id": "./",
        "@type": "Dataset",
        "identifier": f"urn:uuid:{request.request}",
        "name": one_line(request.title),
        "description": one_line(request.purpose),
        "datePublished": request.packaged,
        "license": one_line(request.licence),
        "publisher": _ref(HOUSE),
        "sourceOrganization": _ref(_project(request)),
        "hasPart": [_ref(output["@id"]) for output in outputs],
        "mentions": [_ref(action["@id"]) for action in actions],
    }


def _file(path: str, content: bytes) -> Entity:
    return {
        "@id": _uri(path),
        "@type": "File",
        "name": path.rpartition("/")[2],
        "contentSize": str(len(content)),
        "encodingFormat": mimetypes.guess_type(path, strict=True)[0] or FALLBACK_TYPE,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _output_action(request: PackageRequest, files: Mapping[str, bytes]) -> Entity:
    return {
        "@id": "#outputs",
        "@type": "CreateAction",
        "name": "Analysis inside the trusted research environment",
        "agent": _ref(_person(request.author)),
        "object": [_ref(f"#dataset-{source.dataset}-{source.version}") for source in request.datasets],
        "result": [_ref(_uri(path)) for path in files if path.startswith("outputs/")],
        "endTime": request.submitted,
        "actionStatus": COMPLETED,
    }


def _automatic_check(request: PackageRequest) -> Entity:
    return {
        "@id": "#disclosure-check",
        "@type": "AssessAction",
        "additionalType": _ref(DISCLOSURE_CHECK),
        "name": f"Automatic disclosure check: {one_line(str(request.checks['verdict']))}",
        "agent": _ref(HOUSE),
        "object": _ref("./"),
        "instrument": _ref(POLICY),
        "result": _ref("review/checks.json"),
        "endTime": request.approved,
        "actionStatus": COMPLETED,
    }


def _sign_off(vote: Vote) -> Entity:
    return {
        "@id": f"#sign-off-{vote.reviewer}",
        "@type": "AssessAction",
        "additionalType": _ref(SIGN_OFF),
        "name": f"Output checking by a reviewer ({one_line(vote.role)}): approved",
        "agent": _ref(_person(vote.reviewer)),
        "object": _ref("./"),
        "instrument": _ref(POLICY),
        "endTime": vote.decided,
        "actionStatus": COMPLETED,
    }


def _context(request: PackageRequest) -> list[Entity]:
    """Describe what the graph refers to: house, project, policy, datasets, and persons by id alone."""
    policy = request.checks["policy"]
    persons = sorted({request.author, *(vote.reviewer for vote in request.votes)})
    return [
        {"@id": HOUSE, "@type": "Organization", "name": one_line(request.house)},
        {"@id": _project(request), "@type": "Project", "name": request.project},
        {
            "@id": POLICY,
            "@type": "CreativeWork",
            "name": one_line(str(policy["name"])),
            "version": one_line(str(policy["version"])),
            "sha256": one_line(str(policy["sha256"])),
        },
        *(
            {
                "@id": f"#dataset-{source.dataset}-{source.version}",
                "@type": "Dataset",
                "name": source.dataset,
                "version": str(source.version),
                "identifier": f"sha256:{source.manifest_sha256}",
            }
            for source in request.datasets
        ),
        *({"@id": _person(person), "@type": "Person", "name": person} for person in persons),
        {"@id": DISCLOSURE_CHECK, "@type": "DefinedTerm", "name": "Disclosure check"},
        {"@id": SIGN_OFF, "@type": "DefinedTerm", "name": "Sign-off"},
    ]


def _uri(path: str) -> str:
    """Give a path as the relative URI RO-Crate asks for."""
    return quote(path, safe="/")


def _ref(identifier: str) -> dict[str, str]:
    return {"@id": identifier}


def _person(identifier: str) -> str:
    return f"#person-{identifier}"


def _project(request: PackageRequest) -> str:
    return f"#project-{request.project}"
