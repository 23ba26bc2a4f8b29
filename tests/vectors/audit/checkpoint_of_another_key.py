"""Rewritten and signed with a key of the same name that is not the log's."""

from _rewrite import entries_of, rewrite
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Signer

SEEN_WITH = "tiles"
FINDS = ("checkpoint", None)


def apply(trail, signer):
    rewrite(trail, entries_of(trail), Signer(signer.name, Ed25519PrivateKey.generate()))
