import re
from dataclasses import replace
from pathlib import Path

from audit import completeness, reconciliation
from audit.flags import RULES
from audit.statement import SOURCES
from enclave import messages
from enclave.journeys.review import REASONS
from enclave.web.limits import SMALL
from enclave.web.sheets import (
    DetailState,
    FileIn,
    Finding,
    TrailAnomaly,
    TrailBooks,
    TrailConfirmed,
)
from tests.unit.web.browser import World
from tests.unit.web.house_for_tests import sha
from tests.unit.web.stories import TABLE, run, submitted

ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def test_every_answer_carries_the_security_headers():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        for path in ("", "login", "no-such-page", "static/enclave.css", "queue"):
            answer = await browser.get(path)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe-inline" not in answer.headers["content-security-policy"]
            assert answer.headers["cross-origin-opener-policy"] == "noopener-allow-popups"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"

    run(story())


def test_no_page_has_an_inline_script_or_style_or_anything_from_elsewhere():
    async def story() -> None:
        world = World()
        request = submitted(world)
        steward, auditor = await world.browser("steward-a"), await world.browser("auditor-a")
        pages = [
            await steward.get(path)
            for path in (
                "",
                "requests",
                "queue",
                f"requests/{request}",
                f"requests/{request}/files/{sha(TABLE)}",
            )
        ]
        pages += [
            await auditor.get(path) for path in ("audit", "audit/search", "projects/heart-failure/budget")
        ]
        for page in pages:
            assert page.status_code == 200
            assert "<script>" not in page.text
            assert " style=" not in page.text
            assert " onclick" not in page.text
            assert "http://" not in page.text
            assert "https://" not in page.text

    run(story())


def test_hostile_text_is_shown_and_never_runs():
    async def story() -> None:
        world = World()
        request = submitted(world, title=ATTACK)
        kept = world.house.requests[request]
        kept.line = replace(kept.line, outcome_reason=ATTACK)
        kept.purpose = ATTACK
        kept.files = [FileIn(f"a{ATTACK}.csv", TABLE)]
        kept.findings = (Finding(ATTACK, "review", ATTACK, ATTACK, ATTACK, ATTACK),)
        world.house.vote(world.house.people["steward-b"], request, sha(TABLE), "return", ATTACK)
        world.house.vote(world.house.people["steward-a"], request, sha(TABLE), "return", ATTACK)
        world.house.events.append(
            {
                "id": ATTACK,
                "corr": ATTACK,
                "type": ATTACK,
                "occurred": ATTACK,
                "actor": {"id": ATTACK},
                "reason": ATTACK,
                "project": ATTACK,
                "outcome": ATTACK,
                "phase": ATTACK,
            }
        )
        steward, auditor = await world.browser("steward-a"), await world.browser("auditor-a")
        pages = [
            await steward.get(path)
            for path in ("", "queue", f"requests/{request}", f"requests/{request}/files/{sha(TABLE)}")
        ]
        pages += [await auditor.get("audit/search?person=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")]
        pages += [await auditor.http.get("/enclave/audit/search", params={"corr": ATTACK})]
        pages += [await auditor.get("projects/heart-failure/budget")]
        for page in pages:
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert "<b>2023" not in page.text
        assert "&lt;script&gt;alert(3)" in pages[3].text

    run(story())


def test_a_researcher_cannot_open_the_queue_or_the_trail():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        for path in ("queue", "audit", "audit/search?person=steward-a", "audit/checkpoint"):
            assert (await browser.get(path)).status_code == 403
        assert (await browser.post("audit/export")).status_code == 403
        home = await browser.get("")
        assert "/enclave/queue" not in home.text
        assert "/enclave/audit" not in home.text

    run(story())


def test_somebody_elses_request_is_not_there_rather_than_forbidden():
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser = await world.browser("researcher-b")
        absent = await browser.get("requests/0190f3a0-0000-7000-8000-999999999999")
        present = await browser.get(f"requests/{request}")
        assert absent.status_code == present.status_code == 404
        assert absent.text.replace("999999999999", "") == present.text
        assert (await browser.get(f"requests/{request}/files/{sha(TABLE)}")).status_code == 404
        assert (await browser.post(f"requests/{request}/download")).status_code == 404
        assert world.house.viewed == []

    run(story())


def test_the_auditor_reads_and_cannot_vote():
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser = await world.browser("auditor-a")
        opened = await browser.get(f"requests/{request}")
        assert opened.status_code == 200
        assert "vote" not in opened.text
        answer = await browser.post(f"requests/{request}/files/{sha(TABLE)}/vote", choice="approve")
        assert answer.status_code == 403
        assert world.house.requests[request].votes == {}

    run(story())


def test_a_vote_is_for_the_bytes_named_in_the_address_and_leads_to_the_next_file():
    async def story() -> None:
        world = World()
        request = submitted(world)
        world.house.requests[request].files.append(FileIn("note.txt", b"bonjour"))
        browser = await world.browser("steward-a")
        answer = await browser.post(f"requests/{request}/files/{sha(TABLE)}/vote", choice="approve")
        assert answer.headers["location"] == f"/enclave/requests/{request}/files/{sha(b'bonjour')}"
        answer = await browser.post(
            f"requests/{request}/files/{sha(b'bonjour')}/vote", choice="return", reason="dater"
        )
        assert answer.headers["location"] == "/enclave/queue"
        assert [vote.choice for vote in world.house.requests[request].votes[sha(b"bonjour")]] == ["return"]

    run(story())


def test_a_reviewer_sees_that_another_has_voted_and_not_what():
    async def story() -> None:
        world = World()
        request = submitted(world)
        world.house.vote(world.house.people["steward-b"], request, sha(TABLE), "reject", "trop petit")
        browser = await world.browser("steward-a")
        before = await browser.get(f"requests/{request}")
        assert "Une autre personne a voté" in before.text
        assert "trop petit" not in before.text
        assert "steward-b" not in before.text
        await browser.post(f"requests/{request}/files/{sha(TABLE)}/vote", choice="approve")
        after = await browser.get(f"requests/{request}")
        assert "trop petit" in after.text

    run(story())


def test_opening_a_file_is_told_to_the_house():
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser = await world.browser("steward-a")
        await browser.get(f"requests/{request}/files/{sha(TABLE)}")
        assert world.house.viewed == [("steward-a", sha(TABLE))]
        assert (await browser.get(f"requests/{request}/files/{'0' * 64}")).status_code == 404

    run(story())


def test_the_released_package_comes_as_an_attachment():
    async def story() -> None:
        world = World()
        request = submitted(world)
        world.house.set_status(request, "RELEASED")
        browser = await world.browser("researcher-a")
        answer = await browser.post(f"requests/{request}/download")
        assert answer.content == b"PKsealed"
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{request}.zip"')
        assert (await browser.get(f"requests/{request}/download")).status_code == 405

    run(story())


def test_a_step_that_does_not_exist_is_not_found():
    async def story() -> None:
        world = World()
        request = submitted(world)
        browser = await world.browser("researcher-a")
        assert (await browser.post(f"requests/{request}/approve")).status_code == 404
        assert (await browser.post(f"requests/{request}/package")).status_code == 403
        assert (await browser.post(f"requests/{request}/withdraw")).status_code == 303

    run(story())


def test_too_large_a_form_is_refused_before_it_is_read():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        answer = await browser.http.post("/enclave/language", content=b"x" * (SMALL + 1))
        assert answer.status_code == 413
        assert "octets" in answer.text

    run(story())


def test_the_first_sentence_says_what_waits():
    async def story() -> None:
        world = World()
        steward = await world.browser("steward-a")
        assert "Rien ne vous attend." in (await steward.get("")).text
        submitted(world)
        assert "1 demande vous attend, depuis aujourd’hui." in (await steward.get("")).text.replace(
            "&#39;", "'"
        )
        submitted(world)
        text = (await steward.get("queue")).text
        assert "2 demandes vous attendent\u202f; la plus ancienne depuis aujourd’hui." in text

    run(story())


def test_the_pages_speak_english_when_asked():
    async def story() -> None:
        world = World()
        browser = await world.browser("steward-a")
        assert (await browser.post("language", to="en")).status_code == 303
        assert "Nothing waits for you." in (await browser.get("")).text
        assert (await browser.post("language", to="de")).status_code == 422

    run(story())


def test_a_table_is_sorted_by_plain_links():
    async def story() -> None:
        world = World()
        for title in ("b", "c", "a"):
            submitted(world, title=title)
        browser = await world.browser("researcher-a")
        up = (await browser.get("requests?sort=title")).text
        down = (await browser.get("requests?sort=title&order=down")).text
        assert up.index(">a</a>") < up.index(">b</a>") < up.index(">c</a>")
        assert down.index(">c</a>") < down.index(">b</a>") < down.index(">a</a>")
        assert 'aria-sort="ascending"' in up
        assert (await browser.get("requests?sort=__class__")).status_code == 200

    run(story())


def test_the_auditor_gets_two_verdicts_in_words():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        sound = (await browser.post("audit/verify")).text
        assert "intact et complet" in sound
        world.house.sound = False
        broken = (await browser.post("audit/verify")).text
        assert "le premier événement touché est le n° 17" in broken.replace("\u202f", " ")
        assert (await browser.post("audit/export")).headers["content-disposition"].startswith("attachment")
        assert (await browser.get("audit/checkpoint")).headers["content-type"].startswith("text/plain")

    run(story())


def test_the_auditor_reads_since_when_nothing_was_removed_and_who_says_so():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        alone = (await browser.post("audit/verify")).text
        assert "Aucun témoin extérieur" in alone
        assert "non fait" in alone
        world.house.confirmed = TrailConfirmed(
            ("witness.example/one", "witness.example/two"),
            1233,
            "2026-11-14T08:00:00Z",
            "2026-11-25T08:00:00Z",
        )
        told = (await browser.post("audit/verify")).text
        assert "Rien n’a été ôté depuis le 14 nov. 2026, 09:00:00, confirmé par 2 témoin" in told
        assert "Le dernier événement ne l’est pas encore" in told
        assert "Horodaté par witness.example/one" in told

    run(story())


def test_an_auditor_signs_off_what_was_looked_through():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        assert "100 événements ne sont pas encore relus" in (await browser.get("audit")).text
        assert "1 événement n’est pas encore relu" in (await browser.post("audit/review", until="98")).text
        assert "Tout est relu" in (await browser.post("audit/review", until="99")).text
        assert (await browser.post("audit/review", until="100")).status_code == 422
        steward = await world.browser("steward-a")
        assert (await steward.post("audit/review", until="1")).status_code == 403

    run(story())


def test_a_flag_states_its_rule_and_the_page_says_what_is_not_watched():
    async def story() -> None:
        browser = await World().browser("auditor-a")
        told = (await browser.post("audit/flags")).text
        assert "3 choses méritent un regard" in told
        assert (
            told.count("5 refus à une même personne en 10 minutes") == 3
        )  # the finding, its label, the rule
        assert "Les heures de travail ne sont pas surveillées" in told
        assert "1 attend depuis trop longtemps" in told
        assert "Un carnet tourne, et rien au journal ne l’a ouvert" in told

    run(story())


def test_an_auditor_signs_findings_off_one_by_one_with_a_reason():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        said = {"finding": "a1", "reason": "explained", "comment": "Remis depuis la sauvegarde de nuit."}
        assert (await browser.post("audit/flags/sign", **said | {"reason": "because"})).status_code == 422
        assert (await browser.post("audit/flags/sign", **said | {"comment": ""})).status_code == 422
        told = (await browser.post("audit/flags/sign", **said)).text
        assert "2 choses méritent un regard" in told
        assert "Déjà signé" in told
        assert "expliqué" in told[told.index("Déjà signé") :]
        assert said["comment"] not in told  # it lies sealed beside its event
        steward = await world.browser("steward-a")
        assert (await steward.post("audit/flags/sign", **said)).status_code == 403

    run(story())


def test_every_anomaly_and_every_rule_has_its_sentence_in_both_languages():
    wanted = {f"audit.codes.{code}" for code in anomaly_codes()} | {f"audit.rules.{code}" for code in RULES}
    wanted |= {f"audit.sign.reasons.{reason}" for reason in REASONS}
    wanted |= {f"audit.books.names.{source}" for source in SOURCES}
    for language in ("fr", "en"):
        assert {key for key in wanted if messages.sentence(key, language)} == wanted


def anomaly_codes() -> set[str]:
    """Read from their source which anomalies a verification can tell."""
    source = "".join(Path(module.__file__).read_text() for module in (completeness, reconciliation))
    told = set(re.findall(r'Anomaly\([^,]+, "([a-z_]+)"', source)) | set(
        re.findall(r'_say\("([a-z_]+)"', source)
    )
    into = {f"in_{one}_not_in_trail" for one in SOURCES}
    out_of = {f"in_trail_not_in_{one}" for one in SOURCES if one != "hub"}  # a stopped notebook is none
    return told | into | out_of | {"closed_by_another", "other_bytes", "tampered", "too_few_approvals"}


def test_the_verification_says_in_words_how_the_house_s_books_compare():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        assert "Les livres de la maison" not in (await browser.post("audit/verify")).text
        world.house.books = TrailBooks(("ledger", "house"), ("hub",), 1_250, 2, 0)
        told = (await browser.post("audit/verify")).text.replace("\u202f", " ")
        assert "Les 1 250 lignes que la maison garde ailleurs disent la même chose" in told
        assert "2 ligne(s) s’explique(nt) par un acte qu’une panne" in told
        assert "les carnets ouverts en ce moment — ce livre n’a pas pu être lu" in told
        world.house.books = TrailBooks(("ledger",), (), 3, 0, 1)
        world.house.differing = [TrailAnomaly("in_trail_not_in_ledger", 12, "charge", "in English")]
        told = (await browser.post("audit/verify")).text
        assert "1 ligne(s) des livres de la maison ne s’accordent pas" in told
        assert "Dans le journal, et pas dans le registre des budgets." in told
        assert "in English" not in told

    run(story())


def test_the_page_reminds_an_auditor_of_what_waits():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        assert "Personne n’a rien signé depuis" not in (await browser.get("audit")).text
        world.house.late = True
        assert "Personne n’a rien signé depuis le 1 sept. 2026" in (await browser.get("audit")).text

    run(story())


def test_a_story_is_followed_from_login_to_release_by_person_or_by_a_number():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        told = (await browser.get("audit/follow?person=researcher-a&project=cardio")).text
        places = [
            told.index(kind) for kind in ("auth.login", "session.spawn", "data.query", "release.package")
        ]
        assert places == sorted(places)
        assert "researcher-a dans cardio" in (await browser.get("audit/follow?session=0123456789")).text
        assert (await browser.get("audit/follow?release=r9")).status_code == 404
        assert (await browser.get("audit/follow?person=researcher-a")).status_code == 422
        steward = await world.browser("steward-a")
        assert (await steward.get("audit/follow?person=a&project=b")).status_code == 403

    run(story())


def test_the_certificate_of_a_release_carries_a_code_and_says_what_is_not_confirmed():
    async def story() -> None:
        world = World()
        browser = await world.browser("auditor-a")
        told = (await browser.post("audit/certificate", request="r1")).text
        assert 'src="data:image/svg+xml' in told
        assert "steward-a, steward-b" in told
        assert "aucun témoin ne l’a encore confirmé" in told
        world.house.confirmed = TrailConfirmed(
            ("witness.example/one",), 99, "2026-11-14T08:00:00Z", "2026-11-25T08:00:00Z"
        )
        assert (
            "witness.example/one, 25 nov. 2026"
            in (await browser.post("audit/certificate", request="r1")).text
        )
        assert (await browser.post("audit/certificate", request="r2")).status_code == 404
        steward = await world.browser("steward-a")
        for path in ("audit/flags", "audit/certificate"):
            assert (await steward.post(path, request="r1")).status_code == 403

    run(story())


def test_a_long_search_is_read_page_by_page_and_one_act_in_its_order():
    async def story() -> None:
        world = World()
        world.house.events.extend(
            {"id": f"e{n}", "corr": "c1" if n < 2 else "c2", "type": f"type.number{n}"} for n in range(150)
        )
        browser = await world.browser("auditor-a")
        first = (await browser.get("audit/search?person=researcher-a")).text
        older = re.search(r'audit/search\?(person=researcher-a&amp;below=\d+)"', first)
        assert older is not None
        second = (await browser.get(f"audit/search?{older[1].replace('&amp;', '&')}")).text
        assert "type.number0" in second
        assert "type.number0" not in first
        assert "below" not in second
        act = (await browser.get("audit/search?corr=c1")).text
        assert act.index("type.number0") < act.index("type.number1")

    run(story())


def test_words_are_looked_for_and_stay_in_the_form():
    async def story() -> None:
        world = World()
        world.house.events.extend(
            {"id": f"e{n}", "type": kind} for n, kind in enumerate(("key.rotate", "auth.login"))
        )
        browser = await world.browser("auditor-a")
        found = (await browser.get("audit/search?text=rotate")).text
        assert "key.rotate" in found
        assert "auth.login" not in found
        assert 'name="text" value="rotate"' in found

    run(story())


def test_a_detail_is_shown_as_sealed_erased_or_lost_and_opened_only_on_asking():
    async def story() -> None:
        world = World()
        event = {"id": "e1", "corr": "c1", "type": "auth.login", "occurred": "2026-11-25T10:00:00.123456Z"}
        world.house.events += [event] * 4
        browser = await world.browser("auditor-a")
        told = {0: DetailState("sealed"), 2: DetailState("lost")}
        world.house.details = told | {1: DetailState("erased", "access", "2027-11-26T10:00:00.000000Z", 7)}
        sealed = (await browser.get("audit/events/0")).text
        assert "scellé à part" in sealed
        assert "192.0.2.17" not in sealed
        opened = await browser.post("audit/events/0/detail")
        assert "192.0.2.17" in opened.text
        assert "&lt;Mozilla&gt;" in opened.text
        assert world.house.events[-1] == {"type": "audit.detail"}
        erased = (await browser.get("audit/events/1")).text
        assert "26 nov. 2027" in erased
        assert "fin de la durée des accès" in erased
        assert "audit/events/7" in erased
        assert "aucune règle" in (await browser.get("audit/events/2")).text
        assert "gardé à part" not in (await browser.get("audit/events/3")).text
        steward = await world.browser("steward-a")
        assert (await steward.post("audit/events/0/detail")).status_code == 403

    run(story())


def test_a_search_says_that_it_is_recorded_and_a_link_from_elsewhere_only_fills_the_form():
    async def story() -> None:
        world = World()
        world.house.events.append(
            {"id": "e1", "corr": "c1", "type": "data.query", "occurred": "2026-11-25T10:00:00.123456Z"}
        )
        browser = await world.browser("auditor-a")
        found = await browser.get("audit/search?corr=c1&first=2026-11-01&last=2026-11-25")
        assert "inscrite au journal" in found.text
        assert "25 nov. 2026, 11:00:00" in found.text
        searches = len(world.house.events)
        elsewhere = await browser.get("audit/search?corr=c1", Sec_Fetch_Site="cross-site")
        assert 'value="c1"' in elsewhere.text
        assert len(world.house.events) == searches
        assert "cdcdcd" in (await browser.get("audit/events/0")).text
        assert (await browser.get("audit/events/99")).status_code == 404
        assert (await browser.get("audit/events/x")).status_code == 422
        assert (await browser.get("audit/search?first=yesterday")).status_code == 422

    run(story())


def test_a_project_budget_is_shown_and_says_what_it_leaves_out():
    async def story() -> None:
        world = World()
        browser = await world.browser("researcher-a")
        page = (await browser.get("projects/heart-failure/budget")).text
        assert "Il reste 92\u202f% du budget" in page
        assert "ne couvre que les questions" in page
        assert (await browser.get("projects/other/budget")).status_code == 404

    run(story())
