import json
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.signatures import Key, SignatureWrong, check_dsse, check_minisign, dsse, minisign

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
KEY = Key(PRIVATE.public_key().public_bytes_raw())
OTHER = Key(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32).public_key().public_bytes_raw())
TEXT = minisign(b"content", "release 1", PRIVATE.sign, KEY)
ENVELOPE = dsse({"subject": []}, PRIVATE.sign, KEY)


def test_a_signature_gives_its_trusted_comment_back() -> None:
    assert check_minisign(TEXT, b"content", KEY) == "release 1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT + "more",
        TEXT.replace("untrusted", "trusted", 1),
        TEXT.replace("trusted comment: release 1", "comment: release 1"),
        TEXT.replace("release 1", "release 2"),
        TEXT.replace(TEXT.split("\n")[1], "*"),
        TEXT.replace(TEXT.split("\n")[1], b64encode(b"short").decode()),
        TEXT.replace(TEXT.split("\n")[3], b64encode(b"short").decode()),
    ],
)
def test_a_changed_signature_is_refused(text: str) -> None:
    with pytest.raises(SignatureWrong):
        check_minisign(text, b"content", KEY)


def test_a_signature_of_other_content_or_another_key_is_refused() -> None:
    for content, key in ((b"Content", KEY), (b"content", OTHER)):
        with pytest.raises(SignatureWrong):
            check_minisign(TEXT, content, key)


def test_an_envelope_gives_its_statement_back() -> None:
    assert check_dsse(ENVELOPE, KEY) == {"subject": []}


@pytest.mark.parametrize(
    "change",
    [
        lambda _read: b"not JSON",
        lambda _read: b"[]",
        lambda read: json.dumps(read | {"signatures": []}),
        lambda read: json.dumps(read | {"payload": "*"}),
        lambda read: json.dumps(read | {"payload": 1}),
        lambda read: json.dumps(read | {"payload": b64encode(b"{}").decode()}),
        lambda read: json.dumps(read | {"payloadType": "application/json"}),
    ],
)
def test_a_changed_envelope_is_refused(change) -> None:
    with pytest.raises(SignatureWrong):
        check_dsse(change(json.loads(ENVELOPE)), KEY)


def test_an_envelope_of_another_key_is_refused() -> None:
    with pytest.raises(SignatureWrong):
        check_dsse(ENVELOPE, OTHER)
