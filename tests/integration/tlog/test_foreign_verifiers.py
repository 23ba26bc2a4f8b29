"""Programs we did not write accept every log we make and refuse every one that was tampered with."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import Signer
from audit.event import Event, new_id, utc_now
from audit.export import export
from audit.log import Log
from audit.verify import verify
from audit.witness import Witness

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "audit"
SIZE = 300
# Steps of our own verification that speak of the tree; what an event says is not the business of a tree.
OF_THE_TREE = frozenset({"key", "checkpoint", "entries", "tiles", "root"})


def found_by(name):
    vector = runpy.run_path(str(VECTORS / f"{name}.py"))
    return vector["SEEN_WITH"], vector["FINDS"][0]


sys.path.insert(0, str(VECTORS))
FOUND = {path.stem: found_by(path.stem) for path in sorted(VECTORS.glob("[!_]*.py"))}
sys.path.remove(str(VECTORS))
# Tessera v1.0.4 reads as many entries of a bundle as it expects and does not look behind them.
FSCK_LETS_PASS = frozenset({"bundle_with_bytes_behind_it"})
BROKEN_TREES = [name for name, (seen, step) in FOUND.items() if seen == "tiles" and step in OF_THE_TREE]
OTHER_LOGS = [name for name, (seen, _) in FOUND.items() if seen == "remembered"]


def event():
    return Event.model_validate(
        {
            "v": 1,
            "id": new_id(),
            "type": "data.query",
            "phase": "single",
            "corr": new_id(),
            "occurred": utc_now(),
            "actor": {"id": "researcher-a", "kind": "person"},
            "source": {"service": "engine"},
            "object": [{"kind": "dataset", "id": "dataset-a"}],
        }
    )


@pytest.fixture(scope="session")
def signer():
    return Signer("enclave.example/trail", Ed25519PrivateKey.generate())


@pytest.fixture(scope="session")
def vkey(signer):
    return signer.verifier.vkey()


def grow(folder, signer, sizes):
    """Record up to each size and give the checkpoint of each."""
    log = Log(folder, signer)
    notes = {}
    for size in sizes:
        for answer in [log.submit(event()) for _ in range(size - log.head.size)]:
            answer.result()
        log.prove(size - 1)
        notes[size] = (folder / "checkpoint").read_text()
    log.close()
    return notes


@pytest.fixture(scope="session")
def whole(tmp_path_factory, signer):
    folder = tmp_path_factory.mktemp("whole") / "trail"
    grow(folder, signer, [100, SIZE])
    return folder


@pytest.fixture
def trail(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def damage(name, trail, signer, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(VECTORS), *sys.path])
    runpy.run_path(str(VECTORS / f"{name}.py"))["apply"](trail, signer)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000])
def test_every_log_is_accepted(size, tmp_path, signer, vkey, tlogcheck, fsck):
    grow(tmp_path / "trail", signer, [size])
    assert tlogcheck("log", tmp_path / "trail", vkey)
    assert fsck(tmp_path / "trail", vkey)


def test_an_export_is_accepted(whole, tmp_path, vkey, tlogcheck, fsck):
    export(whole, tmp_path / "out")
    assert tlogcheck("log", tmp_path / "out", vkey)
    assert fsck(tmp_path / "out", vkey)


def test_every_size_a_log_had_is_continued_by_every_later_one(tmp_path, signer, vkey, tlogcheck):
    sizes = [1, 2, 7, 8, 255, 256, 257, 300, 512, 520]
    notes = grow(tmp_path / "trail", signer, sizes)
    for size, note in notes.items():
        (tmp_path / str(size)).write_text(note)
    assert tlogcheck("log", tmp_path / "trail", vkey, *(f"since={tmp_path / str(size)}" for size in sizes))


@pytest.mark.parametrize("name", BROKEN_TREES)
def test_a_broken_tree_is_refused(name, trail, signer, vkey, tlogcheck, fsck, monkeypatch):
    damage(name, trail, signer, monkeypatch)
    assert not tlogcheck("log", trail, vkey)
    assert fsck(trail, vkey) is (name in FSCK_LETS_PASS)


@pytest.mark.parametrize("name", OTHER_LOGS)
def test_a_log_rewritten_with_its_key_is_refused_by_who_kept_a_checkpoint(
    name, trail, whole, signer, vkey, tlogcheck, monkeypatch
):
    damage(name, trail, signer, monkeypatch)
    assert tlogcheck("log", trail, vkey)
    assert not tlogcheck("log", trail, vkey, f"since={whole / 'checkpoint'}")


def test_a_proof_file_is_accepted_and_a_bent_one_refused(tmp_path, signer, vkey, tlogcheck):
    grow(tmp_path / "trail", signer, [SIZE])
    log = Log(tmp_path / "trail", signer)
    text = log.prove(123)
    log.close()
    (tmp_path / "proof").write_text(text)
    (tmp_path / "bent").write_text(text.replace("index 123\n", "index 122\n"))
    assert tlogcheck("proof", tmp_path / "proof", vkey)
    assert not tlogcheck("proof", tmp_path / "bent", vkey)


def test_a_cosigned_checkpoint_is_accepted_and_a_bent_one_refused(tmp_path, signer, vkey, tlogcheck):
    """transparency-dev/formats checks what our witness says; the log's own note stays readable beside it."""
    (note,) = grow(tmp_path / "trail", signer, [SIZE]).values()
    own = Signer("witness.example/one", Ed25519PrivateKey.generate())
    witness = Witness(tmp_path / "witness", own, [signer.verifier])
    line = witness.add(f"old 0\n\n{note}".encode())
    witness.close()
    (tmp_path / "cosigned").write_text(note + line)
    (tmp_path / "bent").write_text(note + line[:-8] + "A" * 3 + line[-5:])
    assert tlogcheck("cosigned", tmp_path / "cosigned", vkey, witness.key.vkey())
    assert not tlogcheck("cosigned", tmp_path / "bent", vkey, witness.key.vkey())
    assert not tlogcheck("cosigned", tmp_path / "trail" / "checkpoint", vkey, witness.key.vkey())


def pruned_log(folder, signer):
    """A log of 600 entries whose first 512 were pruned under an entry that announces it; gives proofs of before."""
    grow(folder, signer, [100, 600])
    log = Log(folder, signer)
    proofs = {index: log.prove(index) for index in (0, 300, 511, 599)}
    kept = (folder / "checkpoint").read_text()
    told = event().model_dump(mode="json", exclude_none=True)
    told |= {"type": "audit.prune", "phase": "intent", "counts": {"boundary": 512, "access_days": 365}}
    log.prune(512, log.record(Event.model_validate(told)).index)
    after = log.prove(599)
    log.close()
    return kept, {**proofs, "after": after}


def test_what_foreign_verifiers_say_of_a_pruned_log(tmp_path, signer, vkey, tlogcheck, fsck):
    """Proofs hold for all; whoever wants every bundle stops at the first missing one, unless told from where to read."""
    kept, proofs = pruned_log(tmp_path / "trail", signer)
    for index, text in proofs.items():
        (tmp_path / f"proof-{index}").write_text(text)
        assert tlogcheck("proof", tmp_path / f"proof-{index}", vkey)
    (tmp_path / "kept").write_text(kept)
    since = f"since={tmp_path / 'kept'}"
    assert not tlogcheck("log", tmp_path / "trail", vkey, since)
    assert not tlogcheck("log", tmp_path / "trail", vkey, since, "pruned=256")
    assert tlogcheck("log", tmp_path / "trail", vkey, since, "pruned=512")
    assert not fsck(tmp_path / "trail", vkey)
    assert verify(tmp_path / "trail", since=kept).integrity
