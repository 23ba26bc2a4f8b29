"""The filter, run instruction by instruction: every call of a machine gets the verdict it should."""

import errno
import functools
import socket
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notebooks_image.enclave_server import seccomp
from notebooks_image.enclave_server.seccomp import (
    ALLOW,
    FAIL,
    KILL_PROCESS,
    MACHINES,
    REFUSED_EVERYWHERE,
    Machine,
    UnknownMachineError,
    build_filter,
)

STEPS_MAX = 4096  # BPF_MAXINSNS, linux/bpf_common.h
machines = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)


def verdict(program: bytes, number: int, arch: int, arguments: Sequence[int] = ()) -> int:
    """Interpret the program as the kernel does (seccomp(2)): absolute loads, compares, forward jumps, return."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *[value & (2**64 - 1) for value in padded])
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator, at = 0, 0
    compare = {
        seccomp.JUMP_EQUAL: lambda value: accumulator == value,
        seccomp.JUMP_GREATER: lambda value: accumulator > value,
        seccomp.JUMP_BITS: lambda value: bool(accumulator & value),
    }
    while True:
        code, jump_true, jump_false, value = steps[at]
        if code == seccomp.RETURN:
            return int(value)
        if code == seccomp.LOAD_WORD:
            assert value % 4 == 0
            (accumulator,) = struct.unpack_from("=I", data, value)
            at += 1
        else:
            at += 1 + (jump_true if compare[code](value) else jump_false)


def name_of(machine: Machine) -> str:
    return next(name for name, known in MACHINES.items() if known is machine)


@functools.cache
def filter_for(name: str) -> bytes:
    return build_filter(name)


def asked(machine: Machine, number: int, *arguments: int) -> int:
    return verdict(filter_for(name_of(machine)), number, machine.audit_arch, arguments)


@machines
def test_every_listed_call_is_refused(machine: Machine) -> None:
    for number in (*REFUSED_EVERYWHERE.values(), *machine.refused.values()):
        assert asked(machine, number) == FAIL | errno.EPERM


@machines
def test_ordinary_calls_pass(machine: Machine) -> None:
    special = {machine.clone, machine.clone3, machine.socket, machine.socketpair, machine.ioctl}
    closed = {*REFUSED_EVERYWHERE.values(), *machine.refused.values(), *special}
    for number in set(range(seccomp.NEWEST_REVIEWED + 1)) - closed:
        assert asked(machine, number) == ALLOW


@machines
def test_another_architectures_call_kills(machine: Machine) -> None:
    for other in (0x4000_0003, 0x4000_0028, 0xC000_00F3):  # i386, arm, riscv64
        assert verdict(build_filter(name_of(machine)), 0, other) == KILL_PROCESS


@machines
@pytest.mark.parametrize("family", range(-1, 50))
def test_only_listed_families_open(machine: Machine, family: int) -> None:
    opens = family in {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    for call in (machine.socket, machine.socketpair):
        assert asked(machine, call, family, 1, 0) == (ALLOW if opens else FAIL | errno.EAFNOSUPPORT)


@machines
def test_netlink_is_for_addresses_only(machine: Machine) -> None:
    for protocol in range(1, 25):
        assert asked(machine, machine.socket, socket.AF_NETLINK, 3, protocol) == FAIL | errno.EAFNOSUPPORT


@machines
@given(flags=st.integers(0, 2**64 - 1))
def test_clone_makes_no_namespace(machine: Machine, flags: int) -> None:
    makes_one = flags & seccomp.NEW_NAMESPACE_FLAGS
    assert asked(machine, machine.clone, flags) == (FAIL | errno.EPERM if makes_one else ALLOW)


@machines
def test_clone3_and_calls_nobody_reviewed_do_not_exist(machine: Machine) -> None:
    for number in (machine.clone3, seccomp.NEWEST_REVIEWED + 1, 999, -1):
        assert asked(machine, number) == FAIL | errno.ENOSYS


def test_x32_calls_do_not_exist() -> None:
    for number in (0, 41, 520, 547):
        assert asked(MACHINES["x86_64"], seccomp.X32_BIT | number) == FAIL | errno.ENOSYS


@machines
def test_terminals_cannot_be_typed_into(machine: Machine) -> None:
    for request in (seccomp.TIOCSTI, seccomp.TIOCLINUX):
        assert asked(machine, machine.ioctl, 0, request) == FAIL | errno.EPERM
    assert asked(machine, machine.ioctl, 0, 0x5401) == ALLOW  # TCGETS


@machines
def test_the_kernel_would_take_the_program(machine: Machine) -> None:
    steps = list(struct.iter_unpack("=HBBI", build_filter(name_of(machine))))
    assert len(steps) <= STEPS_MAX
    for at, (code, jump_true, jump_false, _) in enumerate(steps):
        if code not in {seccomp.RETURN, seccomp.LOAD_WORD}:
            assert at + 1 + max(jump_true, jump_false) < len(steps)
    assert steps[-1][0] == seccomp.RETURN


@pytest.mark.parametrize("name", ["riscv64", "i686", "armv7l", "", "X86_64"])
def test_an_unknown_machine_gets_no_filter(name: str) -> None:
    with pytest.raises(UnknownMachineError):
        build_filter(name)


def test_no_number_is_listed_twice() -> None:
    for machine in MACHINES.values():
        numbers = [*REFUSED_EVERYWHERE.values(), *machine.refused.values()]
        assert len(numbers) == len(set(numbers))
