# Sourced by scripts/demo and scripts/test: does all the set-up on a fresh Debian 12, as root or as an ordinary user.
#
# As root nothing of the enclave runs as root: the tree is copied to /opt/enclave/<clone>/src, the environments are
# made beside it with Debian's own python, and the work is handed to the user `enclave`.
# The caller sets: top (the clone), self (its own name), packages (Debian packages it needs).
# Afterwards: src, venv, notebook_venv are set, and the current user is not root.

set -eu

PYTHON=/usr/bin/python3

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 4; }

missing_packages() {
    for package in $packages; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
        *" installed") ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

need_packages() {
    missing=$(missing_packages)
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" = 0 ]; then
        say "Installing $missing"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null ||
            die "Could not install $missing: see apt-get's message above."
    else
        die "Missing Debian packages. Run: sudo apt-get install $missing"
    fi
}

lock_hash() { cat "$@" | sha256sum | cut -c1-16; }

# make_environment FOLDER LOCK: an environment holds exactly what its lock names, hash by hash
make_environment() {
    folder=$1 lock=$2
    wanted=$(lock_hash "$lock")
    [ "$(cat "$folder/.lock" 2>/dev/null || true)" = "$wanted" ] && return 0
    say "Preparing $(basename "$folder") (first run, or its lock changed)"
    if [ ! -x "$tools/bin/uv" ]; then
        "$PYTHON" -m venv "$tools"
        "$tools/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$src/locks/uv.txt"
    fi
    [ -x "$folder/bin/python" ] || "$tools/bin/uv" venv --quiet --python "$PYTHON" "$folder"
    "$tools/bin/uv" pip sync --quiet --python "$folder/bin/python" --require-hashes "$lock"
    printf '%s' "$wanted" >"$folder/.lock"
}

make_environments() {
    tools=$base/.tools venv=$base/.venv notebook_venv=$base/.venv-notebook
    make_environment "$venv" "$src/locks/dev.txt"
    make_environment "$notebook_venv" "$src/locks/notebook.txt"
    # a sync removes the project itself, so it is put back each time (fast)
    "$tools/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e "$src"
}

as_ordinary_user() {
    base=$top src=$top
    make_environments
}

service_user() {
    id enclave >/dev/null 2>&1 ||
        useradd --system --create-home --home-dir /var/lib/enclave --shell /usr/sbin/nologin enclave
}

as_root() {
    service_user
    base=/opt/enclave/$(printf '%s' "$top" | sha256sum | cut -c1-10) src=$base/src
    umask 022
    rm -rf "$src" && mkdir -p "$src"
    tar -C "$top" --exclude=./.git --exclude='./.venv*' --exclude=./.tools --exclude=./.enclave \
        --exclude='*_cache' --exclude=__pycache__ --exclude=./.hypothesis -c . | tar -C "$src" -x --no-same-owner
    UV_CACHE_DIR=${UV_CACHE_DIR:-/opt/enclave/uv-cache}
    export UV_CACHE_DIR
    make_environments
    chown -R enclave:enclave "$src"
}

prepare() {
    need_packages
    if [ "$(id -u)" = 0 ]; then as_root; else as_ordinary_user; fi
}

# run COMMAND...: in the tree, as the user that owns nothing but the enclave
run() {
    cd "$src"
    if [ "$(id -u)" = 0 ]; then
        # the state outlives the copy of the tree, which is laid anew at each run
        runuser -u enclave -- env ENCLAVE_STATE="${ENCLAVE_STATE:-/var/lib/enclave/demo}" HOME=/var/lib/enclave USER=enclave LOGNAME=enclave \
            XDG_CACHE_HOME=/var/lib/enclave/.cache PATH="$venv/bin:/usr/local/bin:/usr/bin:/bin" \
            ENCLAVE_NOTEBOOK__VENV="$notebook_venv" ENCLAVE_NOTEBOOK__CODE="$src/notebooks_image" "$@"
    else
        env PATH="$venv/bin:$PATH" ENCLAVE_NOTEBOOK__VENV="$notebook_venv" \
            ENCLAVE_NOTEBOOK__CODE="$src/notebooks_image" "$@"
    fi
}
