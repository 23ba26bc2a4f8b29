"""Ways out of a notebook, each as a cell or a request: what must come back is a refusal.

Independent of who serves the house: a test hands over a `NotebookSession`, whatever runs behind it. A cell prints
`refused` as the first word of its output, or `OPEN` and what it got.
"""

import os
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from enclave.demo.notebook_session import NotebookSession
from notebooks_image.enclave_server.seccomp import MACHINES, REFUSED_EVERYWHERE

REFUSED = "refused"
CLOSED_STATUSES = frozenset({400, 403, 404, 405, 409, 429})
NEVER_GIVEN_NUMBER = 999
GATEWAY_PORT = "GATEWAY_PORT"

# Defined in the kernel once, before the probes.
PRELUDE = """
import ctypes, errno, fcntl, glob, os, resource, socket, struct, subprocess, time
libc = ctypes.CDLL(None, use_errno=True)
BY_RULE = {errno.EPERM, errno.ENOSYS, errno.EACCES, errno.EAFNOSUPPORT}

def attempt(action, *reasons):
    '''Print `refused` when the action fails with an OSError, else what it gave.'''
    try:
        got = action()
    except OSError as error:
        print("refused" if not reasons or error.errno in reasons else "OPEN", type(error).__name__, error.errno)
    else:
        print("OPEN", repr(got)[:200])

def call(number, *arguments):
    '''Make a system call; only a refusal by rule counts, not a complaint about the arguments.'''
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(argument) for argument in arguments])
    print("refused" if got == -1 and ctypes.get_errno() in BY_RULE else "OPEN", got, ctypes.get_errno())

def connect(family, kind, address):
    with socket.socket(family, kind) as opened:
        opened.settimeout(3)
        opened.connect(address)
        return opened.getpeername()

def none_of(found):
    found = list(found)
    print("OPEN" if found else "refused", found[:5])

def readable(pattern):
    for path in glob.glob(pattern):
        try:
            with open(path, "rb") as stream:
                yield path, stream.read()
        except OSError:
            pass

def write(path):
    with open(path, "w") as stream:
        return stream.write("x")

def walk(*names):
    '''Find files anywhere outside the system folders by (part of) their name.'''
    for top, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/usr", "/sys", "/opt/enclave/venv")]
        for name in files + folders:
            if any(part in name for part in names):
                yield os.path.join(top, name)
"""


@dataclass(frozen=True)
class CellProbe:
    """A way out tried by the researcher's own code."""

    name: str
    code: str


@dataclass(frozen=True)
class WebProbe:
    """A way out tried by a browser; `{base}` is the project's prefix."""

    name: str
    path: str
    method: str = "GET"
    body: Any = None


def _cell(name: str, code: str) -> CellProbe:
    return CellProbe(name, textwrap.dedent(code).strip())


def _sockets() -> list[CellProbe]:
    stream, datagram = "socket.SOCK_STREAM", "socket.SOCK_DGRAM"
    by_family = "errno.EAFNOSUPPORT"
    return [
        _cell("tcp to the internet", f"attempt(lambda: connect(socket.AF_INET, {stream}, ('1.1.1.1', 443)))"),
        _cell(
            "tcp6 to the internet",
            f"attempt(lambda: connect(socket.AF_INET6, {stream}, ('2606:4700::1111', 443)))",
        ),
        _cell(
            "cloud metadata", f"attempt(lambda: connect(socket.AF_INET, {stream}, ('169.254.169.254', 80)))"
        ),
        _cell(
            "udp", f"attempt(lambda: socket.socket(socket.AF_INET, {datagram}).sendto(b'x', ('8.8.8.8', 53)))"
        ),
        _cell("dns", "attempt(lambda: socket.getaddrinfo('example.org', 443))"),
        _cell(
            "gateway on loopback",
            f"attempt(lambda: connect(socket.AF_INET, {stream}, ('127.0.0.1', {GATEWAY_PORT})))",
        ),
        _cell("raw socket", "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))"),
        _cell("packet socket", f"attempt(lambda: socket.socket(17, socket.SOCK_RAW, 3), {by_family})"),
        _cell("vsock to the hypervisor", f"attempt(lambda: socket.socket(40, {stream}), {by_family})"),
        _cell(
            "kernel crypto socket", f"attempt(lambda: socket.socket(38, socket.SOCK_SEQPACKET), {by_family})"
        ),
        _cell("bluetooth socket", f"attempt(lambda: socket.socket(31, socket.SOCK_SEQPACKET), {by_family})"),
        _cell("xdp socket", f"attempt(lambda: socket.socket(44, socket.SOCK_RAW), {by_family})"),
        _cell("firewall by netlink", f"attempt(lambda: socket.socket(16, socket.SOCK_RAW, 12), {by_family})"),
        _cell("audit by netlink", f"attempt(lambda: socket.socket(16, socket.SOCK_RAW, 9), {by_family})"),
        _cell("abstract sockets of the host", "none_of(l for l in open('/proc/net/unix') if ' @' in l)"),
    ]


def _secrets() -> list[CellProbe]:
    return [
        _cell("hub socket", "none_of(walk('hub.sock'))"),
        _cell("folder of the server's socket", "attempt(lambda: os.listdir('/run/nb'))"),
        _cell("hub folder", "attempt(lambda: os.listdir('/run/hub'))"),
        _cell(
            "token in the environment", "none_of(k for k in os.environ if 'JUPYTERHUB' in k or 'TOKEN' in k)"
        ),
        _cell(
            "token in any process",
            "none_of(p for p, c in readable('/proc/[0-9]*/environ') if b'JUPYTERHUB' in c or b'TOKEN' in c)",
        ),
        _cell(
            "environment of process 1",
            "none_of(p for p, c in readable('/proc/1/environ') if c.strip(b'\\0'))",
        ),
        _cell(
            "token on a command line",
            "none_of(p for p, c in readable('/proc/[0-9]*/cmdline') if b'JUPYTERHUB' in c or b'singleuser' in c)",
        ),
        _cell("server's connection record", "none_of(walk('jpserver'))"),
        _cell("connection files of others", "none_of(list(walk('kernel.json'))[1:])"),
        _cell(
            "own connection file is fixed",
            "attempt(lambda: write(next(p for p in walk('kernel.json') if p.startswith('/run'))))",
        ),
        _cell(
            "hub database and house",
            "none_of(walk('hub.sqlite', 'house.db', 'ledger.db', 'log.db', 'keyring'))",
        ),
        _cell(
            "shelves and trail", "none_of(walk('.parquet', 'manifest.json.sig', 'checkpoint', 'pages-token'))"
        ),
        _cell("data sockets of others", "none_of(list(walk('data.sock'))[1:])"),
        _cell("folders of others", "none_of(walk('researcher-b', 'workspaces'))"),
        _cell("home of root", "attempt(lambda: os.listdir('/root'))"),
        _cell("shadow file", "attempt(lambda: open('/etc/shadow').read())"),
        _cell(
            "files of the host's /etc",
            "none_of(set(os.listdir('/etc')) - {'passwd', 'group', 'hosts', 'nsswitch.conf'})",
        ),
        _cell("other homes", "none_of(set(os.listdir('/home')) - {'analyst'})"),
        _cell("processes of the host", "none_of([p for p in os.listdir('/proc') if p.isdigit()][4:])"),
        _cell(
            "reopening the server's log",
            """
            leads = {os.readlink(p) for p in glob.glob('/proc/[0-9]*/fd/*') if os.path.lexists(p)}
            fine = ('/dev/', 'pipe:', 'socket:', 'anon_inode:', '/memfd:', '/project', '/tmp', '/proc/', '/usr/')
            none_of(lead for lead in leads if not lead.startswith(fine))
            """,
        ),
        _cell("kernel log", "attempt(lambda: open('/dev/kmsg').read(1))"),
        _cell("memory of the machine", "none_of(p for p in ('/dev/mem', '/dev/port') if os.path.exists(p))"),
        _cell("kcore", "attempt(lambda: open('/proc/kcore', 'rb').read(1))"),
        _cell("sys tree", "none_of(os.listdir('/sys') if os.path.isdir('/sys') else [])"),
        _cell(
            "disks",
            "none_of(set(os.listdir('/dev')) & {'sda', 'vda', 'nvme0n1', 'loop0', 'fuse', 'kvm', 'vsock'})",
        ),
    ]


def _writes() -> list[CellProbe]:
    places = {
        "root folder": "/x",
        "system": "/usr/x",
        "environment": "/opt/enclave/venv/x",
        "client code": "/opt/enclave/code/notebooks_image/enclave_client/x.py",
        "etc": "/etc/x",
        "run": "/run/x",
        "data folder": "/run/enclave/x",
        "devices": "/dev/x",
        "core pattern": "/proc/sys/kernel/core_pattern",
        "sysrq": "/proc/sysrq-trigger",
    }
    return [
        *(_cell(f"write to {name}", f"attempt(lambda: write('{path}'))") for name, path in places.items()),
        _cell("device node", "attempt(lambda: os.mknod('/project/null', 0o020666, os.makedev(1, 3)))"),
        _cell("hard link of a system file", "attempt(lambda: os.link('/usr/bin/su', '/project/su'))"),
        _cell("becoming root", "attempt(lambda: os.setuid(0))"),
        _cell(
            "privilege through a setuid program",
            "none_of(l for l in open('/proc/self/status') if l.startswith('NoNewPrivs') and '1' not in l)",
        ),
        _cell(
            "capabilities",
            "none_of(l for l in open('/proc/self/status') if l.startswith('Cap') and int(l.split()[1], 16))",
        ),
        _cell(
            "no filter",
            "none_of(l for l in open('/proc/self/status') if l.startswith('Seccomp:') and '2' not in l)",
        ),
        _cell(
            "tasks without limit",
            "none_of(n for n in resource.getrlimit(resource.RLIMIT_NPROC) if not 0 < n <= 1024)",
        ),
    ]


# name: (call, arguments), chosen so that an open call would do no harm
_CALLS: Mapping[str, tuple[str, tuple[int, ...]]] = {
    "new user namespace": ("unshare", (0x10000000,)),
    "joining a namespace": ("setns", (0, 0)),
    "mount": ("mount", (0, 0, 0, 0, 0)),
    "new mount interface": ("fsopen", (0, 0)),
    "chroot": ("chroot", (0,)),
    "pivot root": ("pivot_root", (0, 0)),
    "keyring": ("keyctl", (0, 0xFFFFFFFD, 0)),
    "add key": ("add_key", (0, 0, 0, 0, 0)),
    "io_uring": ("io_uring_setup", (1, 0)),
    "bpf": ("bpf", (0, 0, 0)),
    "perf": ("perf_event_open", (0, 0, -1, -1, 0)),
    "userfaultfd": ("userfaultfd", (0,)),
    "ptrace": ("ptrace", (0, 0, 0, 0)),
    "memory of another process": ("process_vm_readv", (1, 0, 0, 0, 0, 0)),
    "comparing processes": ("kcmp", (1, 1, 0, 0, 0)),
    "descriptor of another process": ("pidfd_getfd", (-1, 0, 0)),
    "personality": ("personality", (0x0040000,)),
    "secret memory": ("memfd_secret", (0,)),
    "file by handle": ("open_by_handle_at", (-1, 0, 0)),
    "kernel module": ("finit_module", (-1, 0, 0)),
    "kernel replacement": ("kexec_load", (0, 0, 0, 0)),
    "kernel messages": ("syslog", (3, 0, 0)),
    "clock": ("clock_settime", (0, 0)),
    "watching all files": ("fanotify_init", (0, 0)),
}


def _system_calls() -> list[CellProbe]:
    machine = MACHINES[os.uname().machine]
    numbers = {**REFUSED_EVERYWHERE, **machine.refused}
    probes = [
        _cell(name, f"call({numbers[wanted]}, {', '.join(map(str, arguments))})")
        for name, (wanted, arguments) in _CALLS.items()
    ]
    probes += [
        _cell("clone into a user namespace", f"call({machine.clone}, 0x10000011, 0, 0, 0, 0)"),
        _cell("clone3 with hidden flags", f"call({machine.clone3}, 0, 0)"),
        _cell("a call nobody has reviewed", f"call({NEVER_GIVEN_NUMBER})"),
        _cell("typing into a terminal", f"call({machine.ioctl}, 0, 0x5412, 0)"),
        _cell(
            "unshare command",
            "none_of([1] if subprocess.run(['unshare', '-Ur', 'true'], capture_output=True).returncode == 0 else [])",
        ),
    ]
    if machine.has_x32:
        probes.append(_cell("x32 calls", "call(0x40000000 + 39)"))
    return probes


CELLS = [*_sockets(), *_secrets(), *_writes(), *_system_calls()]

WEB = [
    WebProbe("download of a file", "{base}files/data.csv"),
    WebProbe("download with a flag", "{base}files/data.csv?download=1"),
    WebProbe("view of a file", "{base}view/data.csv"),
    WebProbe("conversion to html", "{base}nbconvert/html/n.ipynb?download=true"),
    WebProbe("conversion of a sent notebook", "{base}nbconvert/html", "POST", {}),
    WebProbe("list of converters", "{base}api/nbconvert"),
    WebProbe("terminal", "{base}api/terminals", "POST", {}),
    WebProbe("terminal page", "{base}terminals/1"),
    WebProbe("terminal websocket", "{base}terminals/websocket/1"),
    WebProbe("extension manager", "{base}lab/api/extensions"),
    WebProbe("extension install", "{base}lab/api/extensions", "POST", {"cmd": "install"}),
    WebProbe("metrics", "{base}metrics"),
    WebProbe("api description", "{base}api/spec.yaml"),
    WebProbe("shutdown", "{base}api/shutdown", "POST", {}),
    WebProbe("language servers", "{base}lsp/status"),
    WebProbe("kernel logo", "{base}kernelspecs/enclave/logo-64x64.png"),
    WebProbe("tree page", "{base}tree"),
    WebProbe("notebook page", "{base}notebooks/n.ipynb"),
    WebProbe("licences", "{base}lab/api/licenses"),
    WebProbe("escaped letter", "{base}%66iles/data.csv"),
    WebProbe("dot segment", "{base}api/../files/data.csv"),
    WebProbe("escaped dot segment", "{base}static/%2e%2e/files/data.csv"),
    WebProbe("escaped slash", "{base}static%2f..%2ffiles/data.csv"),
    WebProbe("escaped twice", "{base}api/contents/%252e%252e/x"),
    WebProbe("double slash", "{base}/files/data.csv"),
    WebProbe("backslash", "{base}static\\..\\files/data.csv"),
    WebProbe("escaped backslash", "{base}static%5c..%5cfiles/data.csv"),
    WebProbe("nul", "{base}files%00/data.csv"),
    WebProbe("overlong dot", "{base}static/%c0%ae%c0%ae/files/data.csv"),
    WebProbe("metrics in other letters", "{base}%6detrics"),
    WebProbe("extensions through a dot", "{base}lab/./api/extensions"),
    WebProbe("static file outside", "{base}static/lab/..%2f..%2f..%2fetc/passwd"),
    WebProbe("another person's server", "/user/researcher-b/study-one/api/contents"),
    WebProbe("another project", "/user/researcher-a/study-nine/api/contents"),
    WebProbe("default server", "/hub/spawn"),
    WebProbe("default server by name", "/hub/spawn/researcher-a"),
    WebProbe("hub administration", "/hub/admin"),
    WebProbe("hub tokens page", "/hub/token"),
    WebProbe("hub token", "/hub/api/users/researcher-a/tokens", "POST", {}),
    WebProbe("hub users", "/hub/api/users"),
    WebProbe("hub routes", "/hub/api/proxy"),
    WebProbe("hub metrics", "/hub/metrics"),
    WebProbe("hub shutdown", "/hub/api/shutdown", "POST", {}),
    WebProbe("share", "/hub/api/shares/researcher-a/study-one", "POST", {}),
    WebProbe("hub's internal routes", "/hub/../hub/admin"),
    WebProbe("house's internal routes", "/internal/v1/people/researcher-a"),
    WebProbe("trace", "{base}api/status", "TRACE"),
    WebProbe("unknown root", "/services/pages/"),
]


async def run_cell(session: NotebookSession, probe: CellProbe) -> str:
    """Run a probe's cell and give what it printed; the prelude must have been run in this kernel."""
    port = session.origin.rpartition(":")[2]
    output = await session.run(probe.code.replace(GATEWAY_PORT, port))
    return output.text or output.error


async def ask_web(session: NotebookSession, probe: WebProbe) -> int:
    """Send a probe's request and give the status."""
    options = {} if probe.body is None else {"json": probe.body}
    answer = await session.request(probe.method, probe.path.format(base=session.base), **options)
    return answer.status


# Ways out that need both hands: the kernel plants something, the browser asks the trusted server for it.


async def _contents_status(session: NotebookSession, path: str, method: str = "GET", **options: Any) -> int:
    return (await session.request(method, f"{session.base}api/contents/{path}", **options)).status


async def _planted(
    session: NotebookSession, code: str, path: str, method: str = "GET", **options: Any
) -> str:
    await session.run(code)
    status = await _contents_status(session, path, method, **options)
    return REFUSED if status in CLOSED_STATUSES else f"OPEN {status}"


async def _link_to_environment(session: NotebookSession) -> str:
    return await _planted(
        session, "os.path.lexists('e.txt') or os.symlink('/proc/self/environ', 'e.txt')", "e.txt"
    )


async def _link_to_hub(session: NotebookSession) -> str:
    return await _planted(session, "os.path.lexists('h') or os.symlink('/run/hub', 'h')", "h")


async def _linked_folder_listing(session: NotebookSession) -> str:
    return await _planted(session, "os.path.lexists('rt') or os.symlink('/run/rt', 'rt')", "rt")


async def _write_through_link(session: NotebookSession) -> str:
    body = {"type": "file", "format": "text", "content": "x"}
    code = "os.path.lexists('rt') or os.symlink('/run/rt', 'rt')"
    return await _planted(session, code, "rt/x.py", "PUT", json=body)


async def _checkpoints_through_link(session: NotebookSession) -> str:
    """A checkpoint is taken, and nothing of it arrives where the planted link leads."""
    code = "open('k.py', 'w').write('1'); os.path.lexists('.ipynb_checkpoints') or os.symlink('/project/away', '.ipynb_checkpoints'); os.makedirs('away', exist_ok=True)"
    await session.run(code)
    await _contents_status(session, "k.py/checkpoints", "POST")
    left = await session.run("none_of(os.listdir('away'))")
    return left.text


async def _pipe(session: NotebookSession) -> str:
    return await _planted(session, "os.path.exists('p.txt') or os.mkfifo('p.txt')", "p.txt")


async def _data_file(session: NotebookSession) -> str:
    return await _planted(session, "write('data.csv')", "data.csv")


async def _data_file_base64(session: NotebookSession) -> str:
    return await _planted(session, "write('data.py')", "data.py?format=base64&type=file")


async def _large_file(session: NotebookSession) -> str:
    return await _planted(session, "open('large.py', 'w').write('x' * 3_000_000)", "large.py")


async def _hidden_file(session: NotebookSession) -> str:
    return await _planted(session, "write('.hidden.py')", ".hidden.py")


async def _renaming_data(session: NotebookSession) -> str:
    return await _planted(session, "write('data.csv')", "data.csv", "PATCH", json={"path": "renamed.py"})


async def _upload(session: NotebookSession) -> str:
    body = {"type": "file", "format": "base64", "content": "eA=="}
    return await _planted(session, "0", "up.bin", "PUT", json=body)


async def _upload_in_pieces(session: NotebookSession) -> str:
    body = {"type": "file", "format": "text", "content": "x", "chunk": 1}
    return await _planted(session, "0", "up.py", "PUT", json=body)


async def _quoting_refusal(session: NotebookSession) -> str:
    await session.run("open('broken.ipynb', 'w').write('QUOTED-CONTENT')")
    answer = await session.request("GET", f"{session.base}api/contents/broken.ipynb")
    told = b"QUOTED-CONTENT" in answer.body
    return f"OPEN {answer.status}" if told or answer.status not in CLOSED_STATUSES else REFUSED


async def _restarted_kernel(session: NotebookSession) -> str:
    kernel = (await session.api("GET", "api/kernels"))[0]["id"]
    await session.api("POST", f"api/kernels/{kernel}/restart")
    await session.join()
    await session.run(PRELUDE)
    filtered = await session.run(
        "none_of(l for l in open('/proc/self/status') if l.startswith('Seccomp:') and '2' not in l)"
    )
    hidden = await session.run("none_of(walk('hub.sock', 'jpserver'))")
    return filtered.text if not filtered.text.startswith(REFUSED) else hidden.text


TWO_HANDED: Mapping[str, Callable[[NotebookSession], Awaitable[str]]] = {
    "link to the server's environment": _link_to_environment,
    "link to the hub's folder": _link_to_hub,
    "listing through a link": _linked_folder_listing,
    "writing through a link": _write_through_link,
    "checkpoints through a link": _checkpoints_through_link,
    "pipe that never ends": _pipe,
    "data file in the browser": _data_file,
    "source file as base64": _data_file_base64,
    "file above the size limit": _large_file,
    "hidden file": _hidden_file,
    "data renamed to source": _renaming_data,
    "upload of bytes": _upload,
    "upload in pieces": _upload_in_pieces,
    "refusal that quotes": _quoting_refusal,
    "restarted kernel": _restarted_kernel,
}
