"""What a person reads beside the bag: a certificate of one A4 page, and how to check the package oneself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from vault.release_words import PackageRequest, one_line
from vault.signatures import Key

# What fits on the page; the payload manifest lists every file.
SHOWN_FILES: Final = 12
TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["one_line"] = one_line
READ_ME: Final = """\
SORTIE {request} — {house}

POUR VÉRIFIER CE PAQUET, dans le dossier où il a été décompressé :

{commands}

1. La signature : la réponse doit commencer par « Signature and comment signature verified ».
   Comparez minisign.pub avec la clef publiée par {house} :
   {key}
2 et 3. Chaque ligne doit finir par « OK » (ou « Réussi »).
4. release.tlog-proof montre que cette sortie est inscrite au journal de traçabilité ; tout client
   « C2SP tlog-proof » la vérifie avec la clef du journal.

Le dossier {request}/data/ contient les fichiers sortis (outputs/), les contrôles et la décision (review/),
et leur description (ro-crate-metadata.json, RO-Crate 1.2).

----------------------------------------------------------------------------------------------------

TO VERIFY THIS PACKAGE, in the folder it was unpacked into, run the commands above.
1. The signature: the answer must begin with "Signature and comment signature verified". Compare minisign.pub with
   the key published by {house}.
2 and 3. Every line must end with "OK".
4. release.tlog-proof shows that the release is in the transparency log; any C2SP tlog-proof client checks it with
   the log's key.
"""


STAMPED: Final = """
5. checkpoint.tsr est l'horodatage (RFC 3161) du fichier checkpoint. Avec le certificat racine de l'autorité, reçu d'elle :
   openssl ts -verify -in checkpoint.tsr -data checkpoint -CAfile RACINE.pem

5. checkpoint.tsr is the time stamp (RFC 3161) of the file checkpoint; check it as above, with the authority's root
   certificate, which you have from the authority.
"""


def commands(request: PackageRequest) -> list[str]:
    """Give the shell commands that check a package, in order."""
    bag = request.request
    tag = "tagmanifest-sha512.txt"
    return [
        f"minisign -V -p minisign.pub -m {bag}/{tag} -x {tag}.minisig",
        f"(cd {bag} && sha512sum -c --strict {tag})",
        f"(cd {bag} && sha512sum -c --strict manifest-sha512.txt)",
    ]


def read_me(request: PackageRequest, key: Key, *, stamped: bool = False) -> str:
    """Give LISEZ-MOI.txt, French first; `stamped` says that a time stamp lies beside it."""
    listed = "\n".join(f"  {number}. {command}" for number, command in enumerate(commands(request), 1))
    told = READ_ME.format(
        request=request.request, house=one_line(request.house), commands=listed, key=_key_line(key)
    )
    return told + (STAMPED if stamped else "")


def certificate(
    request: PackageRequest, outputs: Mapping[str, str], tagmanifest_sha256: str, log_index: int, key: Key
) -> str:
    """Give certificate.html: who approved by id, the checks, the hashes, the place in the log, how to check."""
    shown = list(outputs.items())[:SHOWN_FILES]
    return TEMPLATES.get_template("certificate.html").render(
        request=request,
        files=shown,
        more=len(outputs) - len(shown),
        tagmanifest_sha256=tagmanifest_sha256,
        log_index=log_index,
        key=_key_line(key),
        commands=commands(request),
    )


def _key_line(key: Key) -> str:
    return key.minisign_text().splitlines()[1]
