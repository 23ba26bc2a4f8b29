"""What the vault refuses or cannot do, said so that a person knows what happened and what to do next."""

from typing import ClassVar, Literal

Kind = Literal["usage", "refused", "down", "damaged"]


class VaultError(Exception):
    """Something the vault will not or cannot do; never carries a key, a passphrase or a cell."""

    kind: ClassVar[Kind] = "refused"

    def __init__(self, code: str, message: str, to_do: str = "", **params: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.to_do = to_do
        self.params = params


class VaultRefused(VaultError):
    """A rule says no: the right, the receipt or the passphrase is not there."""


class VaultUsage(VaultError):
    """What was handed in cannot be stored or sealed as it is; nothing was done."""

    kind = "usage"


class VaultDown(VaultError):
    """The key store is not where it should be; nothing was done."""

    kind = "down"


class VaultDamaged(VaultError):
    """Something on disk is not what was written."""

    kind = "damaged"
