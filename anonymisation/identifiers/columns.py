"""Say what a column is from its heading and its values together: the stricter of the two wins, a steward confirms.

Nothing here prints a value. Unknown text is free text; an unknown column that is different in each row names people.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from anonymisation.identifiers import patterns
from anonymisation.identifiers.words import Words, words_of

ColumnClass = Literal["direct", "quasi", "sensitive", "free_text", "plain"]
Kind = Literal["category", "integer", "decimal", "date", "boolean", "text", "id"]
Shelf = Literal["identity", "research", "text", "none"]
STRICTNESS: Final[dict[ColumnClass, int]] = {
    "plain": 0,
    "quasi": 1,
    "sensitive": 2,
    "free_text": 3,
    "direct": 4,
}

SAMPLE: Final = 2_000  # distinct values looked at; a rare identifier among more of them escapes
MOST: Final = 0.9  # share of values that must look alike to say what a column is
UNIQUE: Final = 0.9
LEAST_UNIQUE: Final = 20
LONG_TEXT: Final = 25
MOST_CATEGORIES: Final = 200
LONG_NUMBER: Final = 5
MOSTLY_SPACED: Final = 0.5


@dataclass(frozen=True)
class HeadingRule:
    """What a heading announces."""

    type: str | None
    class_: ColumnClass


@dataclass(frozen=True)
class ColumnProposal:
    """What a column seems to be, and why, in words."""

    name: str
    class_: ColumnClass
    kind: Kind
    shelf: Shelf
    type: str | None
    reason: Words


def _rules(type_: str | None, class_: ColumnClass, phrases: str) -> dict[tuple[str, ...], HeadingRule]:
    return {tuple(phrase.split()): HeadingRule(type_, class_) for phrase in phrases.split(",")}


# Headings as French hospitals write them, abbreviations included, and their English counterparts.
_PHRASES: Final = (
    _rules("nir", "direct", "nir,nss,ins,matricule ins,securite sociale,num secu,secu,social security,ssn,nia")
    | _rules("ipp", "direct", "ipp,nip,patient id,id patient,numero patient,num patient,no patient,code patient,identifiant patient,patientid,mrn")
    | _rules("nda", "direct", "nda,iep,num sejour,numero sejour,id sejour,sejour id,stay id,num venue,num dossier,numero dossier,dossier")
    | _rules("rpps", "direct", "rpps,adeli,medecin,praticien,physician,doctor")
    | _rules("last_name", "direct", "nom,nomjf,nom jeune fille,nom naissance,nom usage,nom famille,nom patient,nom prenom,lastname,last name,surname,family name,patronyme,patient name,full name,fullname")
    | _rules("first_name", "direct", "prenom,prenoms,firstname,first name,given name")
    | _rules("birth_date", "direct", "ddn,dnais,dat nais,date nais,date naissance,dob,birth date,birthdate,date birth,date of birth,naissance date")
    | _rules("phone", "direct", "tel,telephone,portable,mobile,phone,fax,num tel,numero telephone,phone number")
    | _rules("email", "direct", "mail,email,e mail,courriel,adresse mail,adresse email")
    | _rules("address", "direct", "adresse,address,rue,street,voie,adresse postale")
    | _rules("iban", "direct", "iban,rib")
    | _rules(None, "direct", "pseudonyme,pseudonym,pseudo,identifiant,ip,ip address,adresse ip,immatriculation,plaque,photo")
    | _rules("postcode", "quasi", "cp,code postal,postcode,zip,zipcode,zip code,postal code")
    | _rules("city", "quasi", "ville,commune,city,town,code commune,code insee")
    | _rules("department", "quasi", "dept,dep,departement,department")
    | _rules("sex", "quasi", "sexe,sex,genre,gender,code sexe")
    | _rules("finess", "quasi", "finess,hopital,hospital,etablissement,site,num finess")
    | _rules(None, "quasi", "age,annee naissance,birth year,mois naissance,birth month,profession,csp,nationalite,pays,country,region,etat civil,situation familiale,date,date entree,date sortie,date admission,admission,discharge,date deces,deces")
    | _rules("cim10", "sensitive", "cim,icd,diag,diagnostic,dp,das,dr,diagnosis,cim code,code cim,code icd")
    | _rules("ccam", "sensitive", "ccam,acte,act,procedure,code ccam")
    | _rules(None, "sensitive", "vih,hiv,serologie,atc,medicament,drug,traitement,ghm,ald,handicap,religion,tabac,alcool")
    | _rules(None, "free_text", "note,notes,commentaire,commentaires,comment,comments,observation,observations,texte,text,compte rendu,cr,crh,lettre,courrier,motif,conclusion,anamnese,antecedents,histoire")
)  # fmt: skip
# Words that no other meaning shares: one of them in a heading is enough.
_ALONE: Final = frozenset(
    {
        "nir",
        "nss",
        "ipp",
        "nda",
        "iep",
        "iban",
        "rpps",
        "adeli",
        "ddn",
        "prenom",
        "prenoms",
        "telephone",
        "courriel",
    }
)
_FILLERS: Final = frozenset(
    {
        "de",
        "du",
        "des",
        "la",
        "le",
        "les",
        "l",
        "d",
        "s",
        "of",
        "the",
        "patient",
        "patients",
        "pat",
        "usuel",
        "complet",
        "no",
        "col",
        "champ",
        "var",
        "x",
    }
)

_ACT: Final = "(?i)^[A-Z]{4}[0-9]{3}$"
_SHAPES: Final[tuple[tuple[str, str | None, ColumnClass, Kind], ...]] = (
    (
        r"^[1-478][0-9]{2}(?:0[1-9]|1[0-2]|[2-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{6}(?:[0-9]{2})?$",
        "nir",
        "direct",
        "id",
    ),
    (r"^(?:\+33|0033|0)[ .-]?[1-9](?:[ .-]?[0-9]{2}){4}$", "phone", "direct", "text"),
    (r"^[^@\s]{1,64}@[^@\s]{1,255}\.[a-zA-Z]{2,24}$", "email", "direct", "text"),
    (r"^[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}$", "iban", "direct", "text"),
    (
        r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}/[0-9]{2}/[0-9]{4})(?:[T ][0-9:.]{4,15}Z?)?$",
        None,
        "quasi",
        "date",
    ),
    (r"^[A-Z][0-9]{2}(?:\.?[0-9]{1,3})?$", "cim10", "sensitive", "category"),
    (_ACT, "ccam", "sensitive", "category"),
    (r"^(?:[01]|oui|non|true|false|vrai|faux|yes|no)$", None, "plain", "boolean"),
    (r"^-?[0-9]{1,18}$", None, "plain", "integer"),
    (r"^-?(?:[0-9]{1,15}[.,][0-9]{1,12}|[.,][0-9]{1,12}|[0-9]{1,15})$", None, "plain", "decimal"),
)


def announced(heading: str) -> HeadingRule | None:
    """Say what a heading announces, None where its words are not known; the strictest reading of them."""
    words = tuple(word.rstrip("0123456789") or word for word in words_of(heading))
    bare = tuple(word for word in words if word not in _FILLERS)
    found = [_PHRASES[phrase] for phrase in (words, bare, tuple(reversed(bare))) if phrase in _PHRASES]
    found += [_PHRASES[(word,)] for word in bare if word in _ALONE]
    return max(found, key=lambda rule: STRICTNESS[rule.class_], default=None)


def classify(sample: pl.DataFrame) -> list[ColumnProposal]:
    """Propose a class, a kind and a shelf for every column of a sample of rows."""
    return [_proposal(column.name, column) for column in sample.get_columns()]


def _proposal(name: str, column: pl.Series) -> ColumnProposal:
    said = announced(name)
    type_, class_, kind, why = _from_values(column)
    reason = Words(f"valeurs : {why.fr}", f"values: {why.en}")
    if said is not None:
        reason = Words(
            f"titre : {_CLASS_WORDS[said.class_].fr} ; {reason.fr}",
            f"heading: {_CLASS_WORDS[said.class_].en}; {reason.en}",
        )
        type_ = type_ if said.type is None or STRICTNESS[class_] > STRICTNESS[said.class_] else said.type
        class_ = max(class_, said.class_, key=STRICTNESS.__getitem__)
    # What a code's heading says outweighs "unknown text": its values are short and few.
    kind = _fitting_kind(class_, kind, type_)
    return ColumnProposal(name, class_, kind, _shelf(class_, kind), type_, reason)


_CLASS_WORDS: Final[dict[ColumnClass, Words]] = {
    "direct": Words("identifiant direct", "direct identifier"),
    "quasi": Words("quasi-identifiant", "quasi-identifier"),
    "sensitive": Words("donnée sensible", "sensitive"),
    "free_text": Words("texte libre", "free text"),
    "plain": Words("donnée ordinaire", "plain"),
}


def _from_values(column: pl.Series) -> tuple[str | None, ColumnClass, Kind, Words]:
    texts = column.cast(pl.String).str.strip_chars().drop_nulls()
    texts = texts.filter(texts != "")
    different = texts.unique(maintain_order=True).head(SAMPLE)
    if different.is_empty():
        return None, "free_text", "text", Words("aucune, donc inconnue", "none, so unknown")
    unique = len(texts) > LEAST_UNIQUE and texts.n_unique() > UNIQUE * len(texts)
    for shape, type_, class_, kind in _SHAPES:
        if _share(different.str.contains(shape)) >= (MOST if class_ == "direct" else 1.0):
            return _shaped(type_, class_, kind, different, unique=unique)
    return _unshaped(different, unique=unique)


def _share(true: pl.Series) -> float:
    return true.sum() / len(true)


def _shaped(
    type_: str | None, class_: ColumnClass, kind: Kind, values: pl.Series, *, unique: bool
) -> tuple[str | None, ColumnClass, Kind, Words]:
    if class_ == "direct":
        return (
            type_,
            class_,
            kind,
            Words(f"presque toutes ont la forme {type_}", f"nearly all have the shape of {type_}"),
        )
    if kind == "integer" and unique and (values.str.len_chars() >= LONG_NUMBER).all():
        return None, "direct", "id", Words("longs nombres tous différents", "long numbers, all different")
    shape = type_ or kind
    return type_, class_, kind, Words(f"toutes ont la forme {shape}", f"all have the shape of {shape}")


def _unshaped(values: pl.Series, *, unique: bool) -> tuple[str | None, ColumnClass, Kind, Words]:
    if patterns.find("\n".join(values.to_list())):
        return None, "free_text", "text", Words("des identifiants dans le texte", "identifiers in the text")
    if values.str.len_chars().sum() > LONG_TEXT * len(values):
        return None, "free_text", "text", Words("textes longs", "long texts")
    if unique:
        return (
            None,
            "direct",
            "id",
            Words("toutes différentes, donc nominatives", "all different, so they name people"),
        )
    if len(values) > MOST_CATEGORIES or _share(values.str.contains(r"\s")) > MOSTLY_SPACED:
        return None, "free_text", "text", Words("texte inconnu", "unknown text")
    return None, "quasi", "category", Words("peu de valeurs courtes", "few short values")


def _fitting_kind(class_: ColumnClass, kind: Kind, type_: str | None) -> Kind:
    if class_ == "direct":
        return (
            "date"
            if kind == "date"
            else "text"
            if type_ in {"last_name", "first_name", "address", "email", "phone"}
            else "id"
        )
    if class_ == "free_text":
        return "text"
    if type_ in {"department", "sex", "finess", "cim10", "ccam"}:
        return "category"
    return "id" if type_ in {"postcode", "city"} else kind


def _shelf(class_: ColumnClass, kind: Kind) -> Shelf:
    if class_ in {"direct", "free_text"}:
        return "identity" if class_ == "direct" else "text"
    return "identity" if kind in {"id", "text"} else "research"


def propose_policy(
    proposals: Sequence[ColumnProposal], *, dataset: str, population: str, unit: str | None
) -> str:
    """Write a draft of the dataset policy; domains and bounds stay empty, since they never come from the data.

    A draft is refused by `enclave dataset ingest` until a steward has filled what is marked.
    """
    unit_proposal = next((proposal for proposal in proposals if proposal.name == unit), None)
    held = (
        f"{{column: {json.dumps(unit, ensure_ascii=False)}, id_type: {(unit_proposal and unit_proposal.type) or 'id'}}}"
        if unit
        else "{id_type: row}"
    )
    most = "rows: 8\n  groups: 4" if unit else "rows: 1\n  groups: 1"
    columns = "\n".join(_column_yaml(proposal) for proposal in proposals)
    return (
        f"# Brouillon / draft. Remplir les domaines et les bornes depuis des listes publiques, jamais depuis les données.\n"
        f"# Fill in domains and bounds from public lists, never from the data.\n"
        f"dataset: {dataset}\nversion: 1\npopulation: {population}\nunit: {held}\ncolumns:\n{columns}\n"
        f"privacy:\n  {most}\n  caps: {{population: 2000000, project: 500000, person: 250000}}  # micro-rho\n"
        f"disclosure: {{threshold: 11}}\n"
    )


def _column_yaml(proposal: ColumnProposal) -> str:
    typed = f", type: {proposal.type}" if proposal.type else ""
    declared = ""
    if proposal.shelf == "research" and proposal.kind == "category":
        declared = ", domain: []"
    elif proposal.shelf == "research" and proposal.kind in {"integer", "decimal", "date"}:
        declared = ", bounds: {low: , high: }"
    return (
        f"  # {proposal.reason.fr} / {proposal.reason.en}\n"
        f"  - {{name: {json.dumps(proposal.name, ensure_ascii=False)}{typed}, class: {proposal.class_}, "
        f"kind: {proposal.kind}, shelf: {proposal.shelf}{declared}}}"
    )
