"""What is kept of persons at the command line of a real house; what erases opens a house of its own."""

import json
from pathlib import Path

import pytest

from audit.projection import entries
from audit.verify import verify
from enclave.demo.cast import AUDITOR, DPO, OPERATOR, RESEARCHER, STEWARDS
from enclave.local_http import LocalService
from tests.living import Lived, living

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


@pytest.mark.long
def test_two_persons_end_what_is_kept_of_a_third_and_every_proof_holds(tmp_path: Path) -> None:
    with living(tmp_path / "house") as lived:
        index = enter(lived)
        new = tmp_path / "new-passphrase"
        new.write_text("another passphrase, long enough")
        assert lived.command("key", "passphrase", "--new-file", str(new), person=OPERATOR).returncode == 0
        asked = lived.command("audit", "erase", RESEARCHER, "--ask", person=DPO)
        assert asked.returncode == 0, asked.stderr
        assert "agrees with --agree" in asked.stdout
        same = lived.command("audit", "erase", RESEARCHER, "--agree", person=DPO)
        assert same.returncode == REFUSED
        done = lived.command("audit", "erase", RESEARCHER, "--agree", "--json", person=AUDITOR)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["destroyed"] >= 1
        gone = lived.command("audit", "detail", str(index), "--json", person=DPO)
        assert json.loads(gone.stderr)["error"]["code"] == "no_detail"
        applied = json.loads(lived.command("audit", "retention", "--apply", "--json", person=DPO).stdout)
        assert (applied["applied"], applied["expired"]) == (True, {})
        survey = json.loads(lived.command("audit", "retention", "--json", person=AUDITOR).stdout)
        assert survey["missing"] == 0
        told = json.loads(lived.command("audit", "prune", "--json", person=AUDITOR).stdout)
        assert (told["boundary"], told["pruned"]) == (0, 0)
        nothing = lived.command("audit", "prune", "--ask", "--json", person=DPO)
        assert json.loads(nothing.stderr)["error"]["code"] == "nothing_to_prune"
        trail = lived.house.settings.state / "trail"
        report = verify(trail)
        assert (report.integrity, report.completeness) == (True, True), report.anomalies
