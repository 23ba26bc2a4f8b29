"""The key service on a real OpenBao: rights hold at the server, and each way it can be unwell is told."""

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.integration.openbao.conftest import OpenBao, opened
from tests.integration.openbao.token_review import POD_TOKEN, token_review
from tests.unit.vault.certificates import authority
from tests.unit.vault.helpers import query, receipt, research_table, write
from vault.compaction import compacted_folder, put_together, rewrite_shelf
from vault.errors import VaultDown, VaultError, VaultRefused
from vault.keys import MAC_NAMES, PURPOSES, SIGN_NAMES, Grant, Rights
from vault.manifest import read_manifest, rewrap_manifest
from vault.openbao import Connection, Kubernetes, NotAcceptedError, Server, unwrap_secret_id
from vault.sealed_list import SealedLists
from vault.shelf import open_shelf
from vault.shredding import shred_version
from vault.transit import TransitKeys, key_name

CONTEXT = "dataset:sejours|1|research"
ALL = frozenset(PURPOSES)
# Rights of this kind leave the refusing to the server.
ANYTHING = cast(
    "Rights",
    SimpleNamespace(
        name="ANYTHING", value=Grant(ALL, ALL, frozenset(MAC_NAMES), frozenset(SIGN_NAMES), operate=True)
    ),
)
QUERY = receipt("data.query", "dataset:sejours")


def code_of(act: Callable[[], object], kind: type[VaultError] = VaultRefused) -> str:
    with pytest.raises(kind) as caught:
        act()
    return caught.value.code


def wrapped(server: OpenBao, purpose: str, context: str) -> str:
    maker = server.keys("engine" if purpose in {"answers", "objections"} else "intake")
    return maker.new_data_key(purpose, context, receipt("data.import", context.partition("|")[0]))[1]


def done(act: Callable[[], object]) -> bool:
    """Tell whether the server let it happen; nothing but its refusal of a right may be the reason why not."""
    try:
        act()
    except VaultRefused as refused:
        if refused.code != "key_right_refused":
            raise
        return False
    return True


@pytest.mark.parametrize("rights", list(Rights))
def test_at_the_server_each_process_can_do_what_its_rights_name_and_nothing_else(
    server: OpenBao, rights: Rights
) -> None:
    keys = server.keys(rights.name.lower(), ANYTHING)
    about = f"dataset:of-{rights.name.lower()}".replace("_", "-")
    acts = receipt("data.query", about), receipt("key.rotate", about, *(f"key:{one}" for one in PURPOSES))
    shred = receipt("data.shred", about)
    for purpose in PURPOSES:
        context = f"{about}|1|{purpose}"
        text = wrapped(server, purpose, context)
        assert done(lambda p=purpose, c=context: keys.new_data_key(p, c, acts[0])) == (
            purpose in rights.value.wrap
        )
        assert done(lambda p=purpose, c=context, t=text: keys.unwrap(p, t, c, acts[0])) == (
            purpose in rights.value.unwrap
        )
        assert (
            done(lambda p=purpose, c=context, t=text: keys.rewrap(p, t, c, acts[1])) == rights.value.operate
        )
        assert done(lambda p=purpose: keys.rotate(p, acts[1])) == rights.value.operate
        assert done(lambda p=purpose: keys.retire(p, acts[1])) == rights.value.operate
        assert done(lambda p=purpose, c=context: keys.shred(p, c, shred)) == rights.value.operate
    for name in MAC_NAMES:
        assert done(lambda n=name: keys.mac(n, b"x")) == (name in rights.value.mac)
    for name in SIGN_NAMES:
        assert done(lambda n=name: keys.sign(n, b"x")) == (name in rights.value.sign)
        assert len(keys.public_key(name)) == 32


FORBIDDEN = {
    "a key made exportable": ("keys/{purpose}_dataset_x/config", {"exportable": True}),
    "a key that may be backed up in clear": (
        "keys/{purpose}_dataset_x/config",
        {"allow_plaintext_backup": True},
    ),
    "a key that is not bound to its context": ("keys/{purpose}_other", {"derived": False}),
    "a key that may be exported from the start": ("keys/{purpose}_other", {"exportable": True}),
    "an older wrapping version": ("keys/mac_unit/rotate", {}),
    "a policy": ("../sys/policies/acl/mine", {"policy": ""}),
    "a role": ("../auth/approle/role/mine", {"token_policies": "root"}),
}


@pytest.mark.parametrize("process", [rights.name.lower() for rights in Rights])
@pytest.mark.parametrize("wanted", FORBIDDEN)
def test_no_process_gives_itself_more(server: OpenBao, process: str, wanted: str) -> None:
    path, body = FORBIDDEN[wanted]
    connection = server.connection(process)
    for purpose in ("research", "answers"):
        context = "dataset:x"
        wrapped(server, purpose, context)
        target = f"transit/{path.format(purpose=purpose)}".replace("transit/../", "")
        assert code_of(lambda t=target: connection.write(t, body)) == "key_right_refused"


@pytest.mark.parametrize(
    ("process", "purpose"), [("intake", "research"), ("engine", "answers"), ("compact_research", "research")]
)
def test_who_makes_keys_puts_none_out_of_reach(server: OpenBao, process: str, purpose: str) -> None:
    about = f"dataset:made-by-{process.replace('_', '-')}"
    text, connection = wrapped(server, purpose, about), server.connection(process)
    key = f"transit/keys/{key_name(purpose, about)}"
    for path, body in (
        ("config", {"min_decryption_version": 2}),
        ("config", {"deletion_allowed": True}),
        ("trim", {"min_available_version": 2}),
        ("soft-delete", {"type": "aes256-gcm96"}),
    ):
        with pytest.raises((VaultError, NotAcceptedError)):
            connection.write(f"{key}/{path}", body)
    for path in (key, f"{key}/soft-delete"):
        with pytest.raises(VaultError):
            connection.delete(path)
    # A policy cannot tell a key from what is below it: whoever may make one may start a new version, which ends none
    connection.write(f"{key}/rotate", {})
    assert len(server.keys("engine").unwrap(purpose, text, about, receipt("data.query", about))) == 32


@pytest.mark.parametrize("process", [rights.name.lower() for rights in Rights])
def test_no_process_reads_a_key_out(server: OpenBao, process: str) -> None:
    wrapped(server, "research", "dataset:x")
    connection = server.connection(process)
    for path in ("transit/export/encryption-key/research_dataset_x", "transit/backup/research_dataset_x"):
        assert code_of(lambda p=path: connection.read(p)) == "key_right_refused"


def test_a_shelf_is_written_by_one_process_read_by_another_and_shredded_by_a_third(
    server: OpenBao, tmp_path: Path
) -> None:
    table = research_table()
    manifest = write(tmp_path, server.keys("intake"), table, dataset="whole")
    engine, operator = server.keys("engine"), server.keys("operator")
    found = read_manifest(
        tmp_path,
        "whole",
        1,
        public_key=engine.public_key("manifest"),
        expected_sha256=manifest.sha256,
    )
    assert open_shelf(tmp_path, found, "research", engine, query("whole")).read().height == table.num_rows
    shred_version(tmp_path, "whole", 1, operator, receipt("data.shred", "dataset:whole"))
    again = write(tmp_path, server.keys("intake"), table, dataset="whole", version=2)
    stolen = again.model_copy(update={"version": 1, "wrapped_keys": manifest.wrapped_keys})
    assert (
        code_of(lambda: open_shelf(tmp_path, stolen, "research", engine, query("whole")))
        == "key_context_unknown"
    )


def test_a_shelf_rotated_while_it_is_read_goes_on_and_opens_anew(server: OpenBao, tmp_path: Path) -> None:
    manifest = write(tmp_path, server.keys("intake"), dataset="turning")
    engine, operator = server.keys("engine"), server.keys("operator")
    shelf = open_shelf(tmp_path, manifest, "research", engine, query("turning"))
    parts = iter(shelf.parts())
    rows = next(parts).collect().height
    act = receipt("key.rotate", "dataset:turning", "key:research")
    operator.rotate("research", act)
    renewed = rewrap_manifest(tmp_path, manifest, operator, act)
    operator.retire("research", act)
    rows += sum(part.collect().height for part in parts)
    assert rows == sum(part.rows for part in manifest.parts)
    assert (
        code_of(lambda: open_shelf(tmp_path, manifest, "research", engine, query("turning")))
        == "wrapped_key_retired"
    )
    assert open_shelf(tmp_path, renewed, "research", engine, query("turning")).read().height == rows


def test_a_key_deleted_while_its_shelf_is_open_opens_nothing_new(server: OpenBao, tmp_path: Path) -> None:
    manifest = write(tmp_path, server.keys("intake"), dataset="going")
    engine = server.keys("engine")
    open_shelf(tmp_path, manifest, "research", engine, query("going"))
    server.keys("operator").shred(
        "research", "dataset:going|1|research", receipt("data.shred", "dataset:going")
    )
    assert (
        code_of(lambda: open_shelf(tmp_path, manifest, "research", engine, query("going")))
        == "key_context_unknown"
    )


def test_a_token_that_ends_in_mid_read_is_replaced_and_the_read_goes_on(server: OpenBao) -> None:
    connection = server.connection("engine")
    engine = TransitKeys(connection, Rights.ENGINE)
    text = wrapped(server, "research", CONTEXT)
    key = engine.unwrap("research", text, CONTEXT, QUERY)
    ended = connection._client.token
    server.admin.auth.token.revoke(ended)
    assert engine.unwrap("research", text, CONTEXT, QUERY) == key
    assert connection._client.token != ended


def test_a_process_whose_secret_id_was_destroyed_ends_with_its_token(server: OpenBao) -> None:
    login = server.login("engine")
    connection = Connection(Server(server.address), login, sleep=lambda _: None)
    engine = TransitKeys(connection, Rights.ENGINE)
    engine.mac("unit", b"x")
    server.admin.auth.approle.destroy_secret_id("enclave-engine", login.secret_id)
    server.admin.auth.token.revoke(connection._client.token)
    assert code_of(lambda: engine.mac("unit", b"x")) == "key_login_refused"


def test_renewal_keeps_one_token(server: OpenBao) -> None:
    now = [0.0]
    connection = server.connection("engine", clock=lambda: now[0])
    engine = TransitKeys(connection, Rights.ENGINE)
    engine.mac("unit", b"x")
    first = connection._client.token
    now[0] = 900 * 0.7
    engine.mac("unit", b"x")
    assert connection._client.token == first
    assert connection._renew_at > now[0]


def test_a_wrapped_secret_id_used_twice_is_refused_the_second_time(server: OpenBao) -> None:
    made = server.admin.auth.approle.generate_secret_id("enclave-engine", wrap_ttl="60s")
    token = made["wrap_info"]["token"]
    place = Server(server.address)
    assert unwrap_secret_id(place, token)
    assert code_of(lambda: unwrap_secret_id(place, token)) == "wrapped_secret_refused"


def test_a_wrapping_token_that_somebody_put_in_its_place_is_not_used(server: OpenBao) -> None:
    planted = server.admin.adapter.post("/v1/sys/wrapping/wrap", json={"secret_id": "x"}, wrap_ttl="60s")
    token = planted["wrap_info"]["token"]
    assert code_of(lambda: unwrap_secret_id(Server(server.address), token)) == "wrapped_secret_refused"


def test_a_pod_signs_in_with_its_service_account(server: OpenBao, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(POD_TOKEN)
    with token_review() as cluster:
        _let_pods_in(
            server, cluster, authority(tmp_path, "cluster").read_text().partition("-----BEGIN PRIVATE")[0]
        )
        keys = TransitKeys(
            Connection(Server(server.address), Kubernetes("enclave-engine", token_file)), Rights.ENGINE
        )
        assert keys.mac("unit", b"x") == server.keys("engine").mac("unit", b"x")
        token_file.write_text("a token of nobody")
        other = TransitKeys(
            Connection(Server(server.address), Kubernetes("enclave-engine", token_file)), Rights.ENGINE
        )
        assert code_of(lambda: other.mac("unit", b"x")) == "key_login_refused"


def _let_pods_in(server: OpenBao, cluster: str, certificate: str) -> None:
    server.admin.sys.enable_auth_method("kubernetes")
    server.admin.auth.kubernetes.configure(
        kubernetes_host=cluster, kubernetes_ca_cert=certificate, token_reviewer_jwt=POD_TOKEN
    )
    server.admin.auth.kubernetes.create_role(
        "enclave-engine",
        bound_service_account_names=["enclave-engine"],
        bound_service_account_namespaces=["enclave"],
        policies=["enclave-engine"],
    )


def test_a_sealed_server_opens_nothing_until_it_is_unsealed() -> None:
    with opened() as own:
        engine = own.keys("engine")
        text = wrapped(own, "research", CONTEXT)
        key = engine.unwrap("research", text, CONTEXT, QUERY)
        own.admin.sys.seal()
        assert code_of(lambda: engine.unwrap("research", text, CONTEXT, QUERY), VaultDown) == (
            "key_service_sealed"
        )
        own.admin.sys.submit_unseal_key(own.unseal_key)
        assert engine.unwrap("research", text, CONTEXT, QUERY) == key
        own.process.kill()
        own.process.wait()
        assert code_of(lambda: engine.unwrap("research", text, CONTEXT, QUERY), VaultDown) == (
            "key_service_unreachable"
        )


def test_a_server_that_stands_still_is_told_and_serves_again(server: OpenBao) -> None:
    login = server.login("engine")
    engine = TransitKeys(Connection(Server(server.address, timeout_seconds=1.0), login), Rights.ENGINE)
    engine.mac("unit", b"x")
    server.process.send_signal(signal.SIGSTOP)
    os.waitpid(
        server.process.pid, os.WUNTRACED
    )  # a signal takes a moment: it could answer once more until then
    try:
        assert code_of(lambda: engine.mac("unit", b"x"), VaultDown) == "key_service_slow"
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert len(engine.mac("unit", b"x")) == 32


def test_many_threads_share_one_token(server: OpenBao) -> None:
    engine = server.keys("engine")
    found: list[bytes] = []
    workers = [threading.Thread(target=lambda: found.append(engine.mac("unit", b"x"))) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_version_is_compacted_by_processes_that_open_one_shelf_each(
    server: OpenBao, tmp_path: Path
) -> None:
    dataset, act = "shrinking", receipt("data.compact", "dataset:shrinking")
    table = research_table()
    old = write(
        tmp_path, server.keys("intake"), shelves={"research": table, "identity": table}, dataset=dataset
    )
    with compacted_folder(tmp_path, dataset, 2) as folder:
        done = []
        for shelf in ("research", "identity"):
            keys, other = server.keys(f"compact_{shelf}"), server.keys("compact_text", ANYTHING)
            rewrite = partial(
                rewrite_shelf, tmp_path, old, shelf, 2, folder, unit_column="_unit", receipt=act
            )
            assert code_of(lambda k=other, r=rewrite: r(unwanted={3}, keys=k)) == "key_right_refused"
            done.append(rewrite(unwanted={3}, keys=keys))
        made = put_together(folder, old, 2, done, server.keys("operator"))
    left = open_shelf(tmp_path, made, "research", server.keys("engine"), query(dataset)).read()
    assert 3 in table.column("_unit").to_pylist()
    assert 3 not in left["_unit"].to_list()


def test_a_list_of_objections_is_kept_by_the_engine_and_survives_a_rotation(
    server: OpenBao, tmp_path: Path
) -> None:
    about = "population:inhabitants"
    lists, engine = SealedLists(tmp_path / "objections"), server.keys("engine")
    lists.add("inhabitants", lambda _: {"unit": 3}, engine, receipt("data.objection", about))
    turn, operator = receipt("key.rotate", about, "key:objections"), server.keys("operator")
    operator.rotate("objections", turn)
    lists.rewrap("inhabitants", operator, turn)
    operator.retire("objections", turn)
    asked = receipt("data.query", about)
    for reader in ("engine", "compact_identity"):
        assert lists.read("inhabitants", server.keys(reader), asked) == [{"unit": 3}]
    assert code_of(lambda: lists.read("inhabitants", server.keys("operator", ANYTHING), asked)) == (
        "key_right_refused"
    )
