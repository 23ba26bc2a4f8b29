"""What is kept of persons at the command line of a real house; nothing is erased here."""

import json

from audit.projection import entries
from enclave.demo.cast import AUDITOR, DPO, RESEARCHER, STEWARDS
from enclave.local_http import LocalService
from tests.living import Lived

ADDRESS, BROWSER = "192.0.2.171", "Mozilla/5.0 (a browser of these tests)"
REFUSED = 3


def enter(lived: Lived) -> int:
    """Log in as the hub does for a browser; gives the number of the event."""
    settings = lived.house.settings
    said = {
        "person": RESEARCHER,
        "password": lived.passwords[RESEARCHER],
        "client": ADDRESS,
        "browser": BROWSER,
    }
    LocalService("service", settings.socket("house"), 10).call("POST", "/internal/v1/login", said)
    trail = LocalService("recorder", settings.socket("recorder"), 10)
    found = trail.call("GET", "/v1/events", params={"type": "auth.login", "actor": RESEARCHER, "limit": 1})
    index: int = found["events"][0]["seq"]
    return index


def test_an_auditor_reads_a_detail_that_no_leaf_and_no_file_shows(lived: Lived) -> None:
    index = enter(lived)
    read = json.loads(lived.command("audit", "detail", str(index), "--json", person=AUDITOR).stdout)
    assert read["words"] == {"client": ADDRESS, "browser": BROWSER}
    assert lived.command("audit", "detail", str(index), person=STEWARDS[0]).returncode == REFUSED
    trail = lived.house.settings.state / "trail"
    size = int((trail / "checkpoint").read_text().split("\n")[1])
    leaves = b"".join(entries(trail, size))
    files = b"".join(path.read_bytes() for path in trail.glob("*.db*"))
    for word in (ADDRESS, BROWSER):
        assert word.encode() not in leaves + files


def test_a_survey_shows_what_would_go_and_erases_nothing(lived: Lived) -> None:
    index = enter(lived)
    told = lived.command("audit", "retention", "--json", person=DPO)
    survey = json.loads(told.stdout)
    assert survey["applied"] is False
    assert survey["rules"] == {"access_days": 365, "decision_years": 10, "reason": ""}
    assert survey["held"]["access"] >= 1
    assert survey["expired"] == {}
    french = lived.command("audit", "retention", person=AUDITOR, LANG="fr_FR.UTF-8")
    assert "Rien n’a été effacé" in french.stdout
    person = lived.command("audit", "erase", RESEARCHER, person=DPO)
    assert "Nobody has asked" in person.stdout
    refused = lived.command("audit", "erase", RESEARCHER, "--agree", "--json", person=AUDITOR)
    assert refused.returncode == REFUSED
    assert json.loads(refused.stderr)["error"]["code"] == "nobody_asked"
    assert lived.command("audit", "detail", str(index), person=DPO).returncode == 0
