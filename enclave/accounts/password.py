"""Passwords as Argon2id hashes: set, tried in constant time, and tried against nothing for nobody."""

import os
from threading import Lock

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

# RFC 9106 §4, second recommended option (64 MiB, three passes, four lanes), its salt and tag sizes.
ITERATIONS = 3
LANES = 4
MEMORY_KIB = 64 * 1024
SALT_BYTES = 16
TAG_BYTES = 32

# Each try takes 64 MiB: many at once would let anybody empty the machine's memory from the login page. And OpenSSL's
# threads of two derivations of several lanes wait for each other for ever: one at a time in a process.
_ALONE = Lock()


def hashed(password: bytes) -> str:
    """Give the PHC string of a password under a fresh salt."""
    derivation = Argon2id(
        salt=os.urandom(SALT_BYTES),
        length=TAG_BYTES,
        iterations=ITERATIONS,
        lanes=LANES,
        memory_cost=MEMORY_KIB,
    )
    with _ALONE:
        return derivation.derive_phc_encoded(password)


# Nobody's password: what the tries for unknown people are measured against, so that they cost the same. It was made once, with
# the costs above, of 16 random bytes that were not kept; it opens nothing whatever it matches. Written out, since making one
# at import would cost every command a fifth of a second.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$3aSSGq4h8PltBoMU5DG4LA$kZw8JtpD/HXvVbgvxQPeUxlRS+YfIk6uH0AWfZqlifo"


def matches(password: bytes, phc: str | None) -> bool:
    """Tell whether the password is the hashed one; without a hash do the same work and say no."""
    with _ALONE:
        try:
            Argon2id.verify_phc_encoded(password, phc or _NOBODY)
        except InvalidKey:
            return False
    return phc is not None
