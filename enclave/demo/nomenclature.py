"""The public code lists that the made-up stays draw from; the hospital-stays policy declares the same ones.

Sources: INSEE official geographic code (departments), ICD-10 French edition (ATIH), CCAM (Assurance maladie).
The hospitals do not exist: their numbers have the nine figures of a FINESS number and a series in no use.
"""

from dataclasses import dataclass

METROPOLE = (*(f"{n:02d}" for n in range(1, 20)), "2A", "2B", *(str(n) for n in range(21, 96)))
OVERSEAS = ("971", "972", "973", "974", "976")
DEPARTMENTS = METROPOLE + OVERSEAS
# Five departments of one region hold most patients, as they would for hospitals of that region.
NEAR = {"59": 0.40, "62": 0.24, "80": 0.09, "60": 0.09, "02": 0.07}

HOSPITALS = (
    "599999001",
    "599999002",
    "599999003",
    "599999004",
    "629999005",
    "629999006",
    "629999007",
    "809999008",
    "609999009",
    "029999010",
)


@dataclass(frozen=True)
class Diagnosis:
    """One ICD-10 code: how often it is the main one, the days it keeps people, the act it brings."""

    code: str
    words: str
    share: float
    days: float
    act: str = ""


DIAGNOSES = (
    Diagnosis("I10", "hypertension artérielle", 0.110, 2.5, "DEQP003"),
    Diagnosis("I21", "infarctus aigu du myocarde", 0.060, 6.0, "DDAF006"),
    Diagnosis("I48", "fibrillation auriculaire", 0.070, 3.5, "DZQM006"),
    Diagnosis("I50", "insuffisance cardiaque", 0.090, 9.0, "DZQM006"),
    Diagnosis("I63", "infarctus cérébral", 0.045, 12.0, "ACQH003"),
    Diagnosis("J18", "pneumopathie", 0.075, 7.5, "ZBQK002"),
    Diagnosis("J44", "bronchopneumopathie obstructive", 0.050, 8.0, "GEQE007"),
    Diagnosis("J45", "asthme", 0.030, 2.5),
    Diagnosis("E10", "diabète de type 1", 0.025, 4.0),
    Diagnosis("E11", "diabète de type 2", 0.080, 4.5),
    Diagnosis("C34", "tumeur maligne du poumon", 0.030, 8.5, "GEQE007"),
    Diagnosis("C50", "tumeur maligne du sein", 0.030, 3.0),
    Diagnosis("N18", "insuffisance rénale chronique", 0.065, 1.5, "JVJF004"),
    Diagnosis("K80", "lithiase biliaire", 0.050, 3.0, "HMFC004"),
    Diagnosis("K35", "appendicite aiguë", 0.030, 3.0),
    Diagnosis("S72", "fracture du fémur", 0.045, 11.0, "NEKA020"),
    Diagnosis("M17", "gonarthrose", 0.040, 5.0, "NFKA007"),
    Diagnosis("H25", "cataracte sénile", 0.040, 0.3, "BFGA004"),
    Diagnosis("O80", "accouchement unique et spontané", 0.034, 3.5, "JQGD010"),
    # Rare on purpose: a table by department shows small counts.
    Diagnosis("G10", "maladie de Huntington", 0.001, 10.0),
)
CIM10 = tuple(sorted(d.code for d in DIAGNOSES))
# Acts that no diagnosis above brings by itself.
OTHER_ACTS = ("HEQE002", "HHQE002", "ZCQH001")
CCAM = tuple(sorted({d.act for d in DIAGNOSES if d.act} | set(OTHER_ACTS)))
