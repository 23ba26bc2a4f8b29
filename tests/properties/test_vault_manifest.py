from random import Random

from hypothesis import given
from hypothesis import strategies as st

from vault.manifest import Manifest, parse_manifest

SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
SHELF = st.sampled_from(["identity", "research", "text"])


@st.composite
def parts(draw: st.DrawFn) -> dict[str, object]:
    shelf = draw(SHELF)
    number = draw(st.integers(0, 99_999))
    return {
        "path": f"{shelf}/part-{number:05d}.parquet",
        "shelf": shelf,
        "rows": draw(st.integers(0, 2**40)),
        "bytes": draw(st.integers(1, 2**40)),
        "sha256": draw(SHA256),
    }


MANIFESTS = st.fixed_dictionaries(
    {
        "dataset": st.from_regex(r"[a-z][a-z0-9-]{0,29}", fullmatch=True),
        "version": st.integers(1, 2**40),
        "created": TEXT,
        "columns": st.dictionaries(
            SHELF, st.lists(st.fixed_dictionaries({"name": TEXT, "type": TEXT}), max_size=3).map(tuple)
        ),
        "domains": st.dictionaries(TEXT, st.lists(TEXT, max_size=3).map(tuple), max_size=3),
        "parts": st.lists(parts(), max_size=3).map(tuple),
        "wrapped_keys": st.dictionaries(SHELF, TEXT),
        "policy_sha256": SHA256,
        "previous": st.none() | SHA256,
    }
)


@given(MANIFESTS)
def test_canonical_bytes_read_back_to_the_same_manifest_and_the_same_bytes(given: dict[str, object]) -> None:
    manifest = Manifest.model_validate(given)
    assert parse_manifest(manifest.to_bytes()) == manifest
    assert parse_manifest(manifest.to_bytes()).to_bytes() == manifest.to_bytes()


@given(MANIFESTS, st.randoms())
def test_the_order_in_which_a_manifest_is_put_together_does_not_show(
    given: dict[str, object], random: Random
) -> None:
    shuffled = dict(random.sample(list(given.items()), len(given)))
    for name in ("domains", "wrapped_keys", "columns"):
        inner = shuffled[name]
        assert isinstance(inner, dict)
        shuffled[name] = dict(random.sample(list(inner.items()), len(inner)))
    assert Manifest.model_validate(shuffled).sha256 == Manifest.model_validate(given).sha256


@given(MANIFESTS, st.sampled_from(["version", "dataset", "policy_sha256", "created"]))
def test_any_difference_changes_the_hash(given: dict[str, object], name: str) -> None:
    manifest = Manifest.model_validate(given)
    other = {"version": manifest.version + 1, "dataset": "x" * 30 if manifest.dataset != "x" * 30 else "y"}
    other |= {"policy_sha256": "f" * 63 + ("0" if manifest.policy_sha256[-1] != "0" else "1")}
    changed = manifest.model_copy(update={name: other.get(name, manifest.created + "x")})
    assert changed.sha256 != manifest.sha256
