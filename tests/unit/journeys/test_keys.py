"""Keys wrapped anew and destroyed: what opens afterwards, what the trail says, and who may do it."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest

from audit.verify import verify
from enclave.agreements.key_backups import KeyBackups
from enclave.agreements.store import AgreementStore
from enclave.agreements.words import Dataset, Partner
from enclave.errors import ComponentDown, EnclaveError, NotFound, Refused
from enclave.house import open_house
from enclave.journeys.keys import KeyTools, attest, backup_destroyed, note_backup, rotate, shred
from enclave.journeys.shelf_check import check_shelves
from enclave.journeys.statement import BooksOfTheHouse
from enclave.people import Person, Role
from enclave.recording import Actor, Visitor
from tests.unit.agreements.receipt_for_tests import receipt as store_receipt
from tests.unit.journeys.recorder_for_tests import RecorderForTests
from tests.unit.vault.helpers import PASSPHRASE, Keyrings, query, receipt, research_table, write
from vault.errors import VaultDamaged, VaultDown, VaultRefused
from vault.keyring import LocalKeyring, create_keyring
from vault.keys import Rights
from vault.manifest import Manifest, quarantine_context, read_manifest
from vault.sealed_file import open_sealed_file
from vault.sealed_list import SealedLists
from vault.shelf import open_shelf

DATASET = "sejours"
OPERATOR = Visitor(Person("operator-a", frozenset({Role.OPERATOR})))
STEWARD = Visitor(Person("steward-a", frozenset({Role.STEWARD, Role.SENIOR_STEWARD, Role.INTAKE_AGENT})))


@dataclass
class Safe:
    """A house with one dataset of two versions, rows put aside in the second."""

    tools: KeyTools
    keys: Keyrings
    recorder: RecorderForTests
    today: date = date(2026, 11, 25)
    forgotten: list[str] = field(default_factory=list)
    engine_down: bool = False

    def forget(self, dataset: str) -> None:
        if self.engine_down:
            raise ComponentDown("engine_down", "The engine does not answer.")
        self.forgotten.append(dataset)

    @property
    def root(self) -> Path:
        return self.tools.root

    def bring_in(self, version: int) -> Manifest:
        manifest = write(self.root, self.keys.intake, research_table(40), version=version)
        self.tools.agreements.publish_version(
            DATASET,
            version,
            manifest_sha256=manifest.sha256,
            policy_sha256=manifest.policy_sha256,
            policy_yaml="v: 1\n",
            receipt=store_receipt("data.import", f"dataset:{DATASET}"),
        )
        return manifest

    def put_aside(self, version: int) -> None:
        about = receipt("data.import", f"dataset:{DATASET}")
        _, wrapped = self.keys.intake.new_data_key("quarantine", quarantine_context(DATASET, version), about)
        (self.tools.quarantine / f"{DATASET}-v{version}.key").write_text(wrapped)
        (self.tools.quarantine / f"{DATASET}-v{version}.sealed").write_bytes(b"sealed")

    def current(self, version: int) -> Manifest:
        """Read the manifest the house records, as the engine does."""
        (about,) = (one for one in self.tools.agreements.versions(DATASET) if one.version == version)
        return read_manifest(
            self.root,
            DATASET,
            version,
            public_key=self.keys.engine.public_key("manifest"),
            expected_sha256=about.manifest_sha256,
        )

    def rows(self, manifest: Manifest) -> int:
        return open_shelf(self.root, manifest, "research", self.keys.engine, query()).read().height

    def files(self) -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.root.rglob("*.parquet")
        }


@pytest.fixture(scope="module")
def keyring_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    create_keyring(path, PASSPHRASE)
    return path


@pytest.fixture
def safe(tmp_path: Path, keyring_file: Path) -> Iterator[Safe]:
    for name in ("shelves", "quarantine", "trail"):
        (tmp_path / name).mkdir()
    path = Path(shutil.copy2(keyring_file, tmp_path / "keyring.json"))
    file = open_sealed_file(path, PASSPHRASE)
    keys = Keyrings(path, **{rights.name.lower(): LocalKeyring(file, rights) for rights in Rights})
    recorder = RecorderForTests(tmp_path / "trail")
    engine = open_house(tmp_path / "house.db")
    agreements = AgreementStore(engine)
    agreements.put_partner(
        Partner("hospital-a", "A", "A", frozenset(), veto=False, answer_days=5),
        store_receipt("admin.partner", "partner:hospital-a"),
    )
    agreements.put_dataset(
        Dataset(DATASET, "hospital-a", "inhabitants", "S", "S", questions_only=True),
        store_receipt("admin.dataset", f"dataset:{DATASET}"),
    )
    made = Safe(None, keys, recorder)  # type: ignore[arg-type]
    made.tools = KeyTools(
        root=tmp_path / "shelves",
        quarantine=tmp_path / "quarantine",
        objections=SealedLists(tmp_path / "objections"),
        agreements=agreements,
        backups=KeyBackups(engine),
        recorder=recorder,
        keys=keys.operator,
        forget=made.forget,
        today=lambda: made.today,
    )
    made.bring_in(1)
    made.bring_in(2)
    made.put_aside(2)
    yield made
    recorder.close()
    engine.dispose()


def test_a_rotation_changes_no_byte_of_data_and_the_recorded_manifest_opens(safe: Safe) -> None:
    before, old = safe.files(), safe.current(2)
    done = rotate(safe.tools, OPERATOR)
    assert [(name, version) for name, version, _ in done] == [(DATASET, 1), (DATASET, 2)]
    assert safe.files() == before
    new = safe.current(2)
    assert new.sha256 == done[1][2] != old.sha256
    assert ":2:" in new.wrapped_keys["research"]
    assert safe.rows(new) == safe.rows(old) == 40
    assert {outcome for _, outcome, _ in safe.recorder.told("key.rotate")} == {"intent", "success"}
    assert safe.recorder.verified().completeness


def test_after_retiring_an_older_manifest_opens_nothing_and_the_quarantine_was_not_forgotten(
    safe: Safe,
) -> None:
    old = safe.current(1)
    rotate(safe.tools, OPERATOR, retire=True)
    assert safe.rows(safe.current(1)) == 40
    with pytest.raises(VaultRefused) as caught:
        safe.rows(old)
    assert caught.value.code == "wrapped_key_retired"
    wrapped = (safe.tools.quarantine / f"{DATASET}-v2.key").read_text()
    about = receipt("key.rotate", f"dataset:{DATASET}")
    assert safe.keys.operator.rewrap("quarantine", wrapped, quarantine_context(DATASET, 2), about)


def test_a_copy_of_the_keyring_from_before_a_rotation_opens_the_manifests_of_its_moment_alone(
    safe: Safe, tmp_path: Path
) -> None:
    old, copy = safe.current(2), Path(shutil.copy2(safe.keys.path, tmp_path / "copy.json"))
    rotate(safe.tools, OPERATOR)
    shutil.copy2(copy, safe.keys.path)
    with pytest.raises(VaultDamaged) as caught:
        safe.rows(safe.current(2))
    assert caught.value.code == "wrapped_key_unreadable"
    assert safe.rows(old) == 40


def test_a_rotation_cut_in_the_middle_loses_nothing_and_is_done_again(safe: Safe) -> None:
    part = next((safe.root / DATASET / "v2").rglob("*.parquet"))
    kept = part.read_bytes()
    part.unlink()
    with pytest.raises(Exception, match="missing"):
        rotate(safe.tools, OPERATOR, retire=True)
    part.write_bytes(kept)
    assert safe.rows(safe.current(1)) == safe.rows(safe.current(2)) == 40
    assert len(rotate(safe.tools, OPERATOR, retire=True)) == 2
    assert safe.rows(safe.current(1)) == safe.rows(safe.current(2)) == 40


def test_a_shredded_version_opens_for_nobody_and_its_dataset_has_none(safe: Safe) -> None:
    manifest = safe.current(2)
    (done,) = shred(safe.tools, OPERATOR, DATASET, 2)
    assert (done.version, done.status, done.backups) == (2, "complete", ())
    assert safe.tools.agreements.dataset(DATASET).version is None
    assert not (safe.root / DATASET / "v2").exists()
    assert not list(safe.tools.quarantine.iterdir())
    assert safe.rows(safe.current(1)) == 40
    again = safe.bring_in(3)
    with pytest.raises(VaultRefused) as caught:
        safe.rows(
            again.model_copy(update={"version": 2, "wrapped_keys": manifest.wrapped_keys}),
        )
    assert caught.value.code == "key_shredded"


def test_shredding_a_dataset_takes_every_version_and_twice_is_once(safe: Safe) -> None:
    for _ in range(2):
        assert [one.version for one in shred(safe.tools, OPERATOR, DATASET)] == [1, 2]
    assert rotate(safe.tools, OPERATOR) == ()
    assert safe.recorder.verified().completeness


def test_the_engine_is_told_and_one_that_does_not_answer_is_told_again(safe: Safe) -> None:
    safe.engine_down = True
    with pytest.raises(ComponentDown):
        shred(safe.tools, OPERATOR, DATASET, 2)
    assert safe.tools.agreements.dataset(DATASET).version is None
    safe.engine_down = False
    assert [one.status for one in shred(safe.tools, OPERATOR, DATASET, 2)] == ["complete"]
    assert safe.forgotten == [DATASET]


def test_every_byte_is_checked_without_a_key_and_each_damage_is_told(safe: Safe) -> None:
    assert [(one.version, one.parts, one.wrong) for one in check_shelves(safe.tools, OPERATOR)] == [
        (1, 4, None),
        (2, 4, None),
    ]
    part = safe.root / DATASET / "v1" / "research" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    (safe.root / DATASET / "v2" / "manifest.json").unlink()
    told: list[tuple[int, int]] = []
    found = check_shelves(safe.tools, OPERATOR, DATASET, lambda done, of: told.append((done, of)))
    assert [one.wrong.code for one in found if one.wrong] == [
        "shelf_part_changed",
        "manifest_not_the_recorded_one",
    ]
    assert told == [(1, 2), (2, 2)]
    shred(safe.tools, OPERATOR, DATASET)
    assert check_shelves(safe.tools, OPERATOR) == ()


def test_only_an_operator_checks_shelves_and_a_key_service_that_is_away_is_no_damage(
    safe: Safe,
) -> None:
    with pytest.raises(Refused):
        check_shelves(safe.tools, STEWARD)
    with pytest.raises(NotFound):
        check_shelves(safe.tools, OPERATOR, "nothing")
    safe.keys.path.unlink()
    with pytest.raises(VaultDown):
        check_shelves(safe.tools, OPERATOR)


def test_a_damaged_version_can_be_shredded(safe: Safe) -> None:
    (safe.root / DATASET / "v2" / "manifest.json").unlink()
    assert shred(safe.tools, OPERATOR, DATASET, 2)


def test_an_attestation_is_pending_until_the_last_backup_made_before_is_gone(safe: Safe) -> None:
    note_backup(safe.tools, OPERATOR, "safe-1", None)
    note_backup(safe.tools, OPERATOR, "tape-1", date(2026, 12, 31))
    (done,) = shred(safe.tools, OPERATOR, DATASET, 1)
    assert (done.status, done.backups) == ("pending", ("safe-1", "tape-1"))
    note_backup(safe.tools, OPERATOR, "safe-2", None)
    backup_destroyed(safe.tools, OPERATOR, "safe-1")
    assert [one.backups for one in attest(safe.tools, OPERATOR, DATASET)] == [("tape-1",)]
    safe.today = date(2027, 1, 1)
    assert [one.status for one in attest(safe.tools, OPERATOR, DATASET)] == ["complete"]
    reasons = [reason for _, phase, reason in safe.recorder.told("data.shred") if phase == "success"]
    assert reasons == ["pending", None, "pending", "complete"]
    told = next(one for one in safe.recorder.events if one.get("reason") == "pending")
    assert {one["id"] for one in told["object"]} == {DATASET, "safe-1", "tape-1"}


def test_a_backups_name_is_used_once_and_an_unknown_one_is_not_found(safe: Safe) -> None:
    note_backup(safe.tools, OPERATOR, "safe-1", None)
    with pytest.raises(Refused) as refused:
        note_backup(safe.tools, OPERATOR, "safe-1", None)
    assert refused.value.code == "backup_known"
    with pytest.raises(NotFound):
        backup_destroyed(safe.tools, OPERATOR, "safe-9")


def test_what_is_not_there_is_not_shredded(safe: Safe) -> None:
    for dataset, version in (("other", None), (DATASET, 9)):
        with pytest.raises(NotFound):
            shred(safe.tools, OPERATOR, dataset, version)
    with pytest.raises(NotFound):
        attest(safe.tools, OPERATOR, "other")


def test_only_an_operator_cares_for_keys(safe: Safe) -> None:
    before = len(safe.recorder.events)
    acts = (
        lambda: rotate(safe.tools, STEWARD),
        lambda: shred(safe.tools, STEWARD, DATASET),
        lambda: attest(safe.tools, STEWARD, DATASET),
        lambda: note_backup(safe.tools, STEWARD, "safe-1", None),
        lambda: backup_destroyed(safe.tools, STEWARD, "safe-1"),
    )
    for act in acts:
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "role_missing"
    assert len(safe.recorder.events) == before


def test_without_the_recorder_nothing_is_destroyed(safe: Safe) -> None:
    safe.recorder.down = True
    for act in (lambda: shred(safe.tools, OPERATOR, DATASET), lambda: rotate(safe.tools, OPERATOR)):
        with pytest.raises(EnclaveError):
            act()
    safe.recorder.down = False
    assert safe.rows(safe.current(1)) == safe.rows(safe.current(2)) == 40
    assert ":1:" in safe.current(2).wrapped_keys["research"]


def test_manifests_on_the_disk_agree_with_the_trail_after_a_rotation_and_a_shredding(safe: Safe) -> None:
    rotate(safe.tools, OPERATOR)
    shred(safe.tools, OPERATOR, DATASET, 1)
    books = BooksOfTheHouse(
        recorder=safe.recorder,
        engine=SimpleNamespace(call=lambda *_: {"records": []}),
        house=safe.tools.agreements._engine,
        publisher=lambda: (SimpleNamespace(requests=list), safe.keys.publisher),
        shelves=safe.root,
        hub=Path("nowhere"),
    )
    statement = books.statement(safe.recorder.single("audit.verify", actor=Actor("a", "person", "auditor")))
    assert [one.id for one in statement.records if one.kind == "version"] == [f"{DATASET}.v2"]
    assert statement.heading.unread == ("hub",)
    found = verify(safe.recorder.directory, against=statement).anomalies
    assert [one for one in found if one.code == "other_bytes" or "vault" in one.code] == []
    partial = safe.root / DATASET / "v3.partial"
    partial.mkdir()
    (partial / "manifest.json").write_text("{}")  # what a killed intake left
    (renewed,) = (safe.root / DATASET / "v2").glob("manifest-*.json")
    renewed.write_bytes(renewed.read_bytes() + b" ")
    statement = books.statement(safe.recorder.single("audit.verify", actor=Actor("a", "person", "auditor")))
    found = verify(safe.recorder.directory, against=statement).anomalies
    assert [one.about for one in found if one.code == "other_bytes"] == [f"{DATASET}.v2"]
