"""The system calls a notebook kernel may not make, as the BPF program that `bwrap --seccomp` loads.

A network namespace does not cover AF_VSOCK, and most of the kernel's attack surface needs no privilege at all:
so socket families are an allow-list, calls known to widen the sandbox are refused, and calls newer than the
newest one reviewed here do not exist. There is no filter for an unknown machine, hence no kernel on it.

Sources: seccomp(2); linux/seccomp.h, linux/bpf_common.h; system call numbers of
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

import errno
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# linux/bpf_common.h: what an instruction does.
LOAD_WORD, JUMP_EQUAL, JUMP_GREATER, JUMP_BITS, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
# linux/seccomp.h: what the kernel does with the call.
ALLOW, KILL_PROCESS, FAIL = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
# struct seccomp_data: offsets of the call number, the architecture and the low words of arguments 0 to 2.
NUMBER, ARCHITECTURE, ARGUMENT_0, ARGUMENT_1, ARGUMENT_2 = 0, 4, 16, 24, 32

# Every CLONE_NEW flag of linux/sched.h that clone(2) takes: mount, cgroup, uts, ipc, user, pid, net.
NEW_NAMESPACE_FLAGS = 0x7E02_0000
X32_BIT = 0x4000_0000
NEWEST_REVIEWED = 462  # mseal, Linux 6.10: the same number on every architecture since 5.x
NETLINK_ROUTE = 0  # what getifaddrs(3) asks; other netlink protocols reach into firewall and audit
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # push characters into a terminal

FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)

# number on every architecture since Linux 5.1
REFUSED_EVERYWHERE: Mapping[str, int] = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443,
    "memfd_secret": 447, "statmount": 457, "listmount": 458, "lsm_set_self_attr": 460,
}  # fmt: skip

REFUSED_X86_64: Mapping[str, int] = {
    "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272, "setns": 308,
    "open_by_handle_at": 304, "name_to_handle_at": 303, "fanotify_init": 300, "fanotify_mark": 301,
    "kexec_load": 246, "kexec_file_load": 320, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "create_module": 174, "get_kernel_syms": 177, "query_module": 178, "uselib": 134, "sysfs": 139,
    "ustat": 136, "_sysctl": 156, "modify_ldt": 154, "iopl": 172, "ioperm": 173,
    "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179, "syslog": 103,
    "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159,
    "lookup_dcookie": 212, "vhangup": 153, "nfsservctl": 180, "personality": 135,
    "mbind": 237, "move_pages": 279, "migrate_pages": 256,
}  # fmt: skip

REFUSED_AARCH64: Mapping[str, int] = {
    "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241,
    "userfaultfd": 282, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97, "setns": 268,
    "open_by_handle_at": 265, "name_to_handle_at": 264, "fanotify_init": 262, "fanotify_mark": 263,
    "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106,
    "reboot": 142, "swapon": 224, "swapoff": 225, "acct": 89, "quotactl": 60, "syslog": 116,
    "settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171,
    "lookup_dcookie": 18, "vhangup": 58, "nfsservctl": 42, "personality": 92,
    "mbind": 235, "move_pages": 239, "migrate_pages": 238,
}  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """An architecture a filter can be built for: its AUDIT_ARCH value and its call numbers."""

    audit_arch: int
    refused: Mapping[str, int]
    clone: int
    clone3: int
    socket: int
    socketpair: int
    ioctl: int
    has_x32: bool


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(0xC000_003E, REFUSED_X86_64, 56, 435, 41, 53, 16, has_x32=True),
    "aarch64": Machine(0xC000_00B7, REFUSED_AARCH64, 220, 435, 198, 199, 29, has_x32=False),
}


@dataclass(frozen=True)
class Instruction:
    """One step of the program; the jumps count the instructions to skip."""

    code: int
    value: int
    jump_true: int = 0
    jump_false: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.jump_true, self.jump_false, self.value)


class UnknownMachineError(Exception):
    """No filter is known for this architecture, so no kernel may start on it."""


def _give(verdict: int) -> Instruction:
    return Instruction(RETURN, verdict)


def _fail(code: int) -> Instruction:
    return _give(FAIL | code)


def _when(code: int, value: int, then: Sequence[Instruction]) -> list[Instruction]:
    """Run `then` when the loaded word compares true; `then` must end in a return."""
    return [Instruction(code, value, 0, len(then)), *then]


def _refuse(number: int, reason: int) -> list[Instruction]:
    return _when(JUMP_EQUAL, number, [_fail(reason)])


def _known_calls_only(machine: Machine) -> list[Instruction]:
    wrong = [Instruction(LOAD_WORD, ARCHITECTURE), Instruction(JUMP_EQUAL, machine.audit_arch, 1, 0)]
    program = [*wrong, _give(KILL_PROCESS), Instruction(LOAD_WORD, NUMBER)]
    if machine.has_x32:
        program += _when(JUMP_BITS, X32_BIT, [_fail(errno.ENOSYS)])
    return program + _when(JUMP_GREATER, NEWEST_REVIEWED, [_fail(errno.ENOSYS)])


def _no_new_namespace(machine: Machine) -> list[Instruction]:
    # clone3 hides its flags in memory: without it glibc falls back to clone, whose flags can be read.
    checks = [
        Instruction(LOAD_WORD, ARGUMENT_0),
        *_when(JUMP_BITS, NEW_NAMESPACE_FLAGS, [_fail(errno.EPERM)]),
        _give(ALLOW),
    ]
    return [*_refuse(machine.clone3, errno.ENOSYS), *_when(JUMP_EQUAL, machine.clone, checks)]


def _listed_families_only(call: int) -> list[Instruction]:
    netlink = [
        Instruction(LOAD_WORD, ARGUMENT_2),
        *_when(JUMP_EQUAL, NETLINK_ROUTE, [_give(ALLOW)]),
        _fail(errno.EAFNOSUPPORT),
    ]
    checks = [Instruction(LOAD_WORD, ARGUMENT_0)]
    for family in FAMILIES:
        checks += _when(JUMP_EQUAL, family, [_give(ALLOW)])
    checks += _when(JUMP_EQUAL, socket.AF_NETLINK, netlink)
    return _when(JUMP_EQUAL, call, [*checks, _fail(errno.EAFNOSUPPORT)])


def _no_typing_into_terminals(machine: Machine) -> list[Instruction]:
    checks = [Instruction(LOAD_WORD, ARGUMENT_1)]
    for request in (TIOCSTI, TIOCLINUX):
        checks += _refuse(request, errno.EPERM)
    return _when(JUMP_EQUAL, machine.ioctl, [*checks, _give(ALLOW)])


def program_for(machine: Machine) -> list[Instruction]:
    """Give the filter's instructions; every path ends in a verdict."""
    program = _known_calls_only(machine)
    for number in (*REFUSED_EVERYWHERE.values(), *machine.refused.values()):
        program += _refuse(number, errno.EPERM)
    program += _no_new_namespace(machine)
    program += _listed_families_only(machine.socket)
    program += _listed_families_only(machine.socketpair)
    program += _no_typing_into_terminals(machine)
    return [*program, _give(ALLOW)]


def build_filter(machine_name: str) -> bytes:
    """Give the filter as an array of `struct sock_filter`; `machine_name` as in `os.uname().machine`.

    Raises `UnknownMachineError` where no call numbers are known.
    """
    machine = MACHINES.get(machine_name)
    if machine is None:
        raise UnknownMachineError(f"No system call filter is known for {machine_name}: no kernel may start.")
    return b"".join(step.packed() for step in program_for(machine))
