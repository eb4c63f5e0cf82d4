#!/usr/bin/env bash
# Everything that `make demo` and `make test` need, and only what is missing. Safe to run again: then under 2 s.
# Root is needed only to install Debian packages; without it the packages and the command are named.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

# Debian packages by the program that proves them there.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need ip iproute2
need nft nftables
need ping iputils-ping
need unshare util-linux
need git git
need tcpdump tcpdump
need conntrack conntrack
need bird bird2
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing Debian packages: ${missing[*]}"
        # Daemons of these packages are wanted as programs only: nothing may start them. A failed daemon set-up is fine.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        fi
        apt-get update -q >&2 || say "the package lists could not be refreshed; trying with the old ones"
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
    else
        say "missing Debian packages: ${missing[*]}"
        say "fix: run as root: apt-get install ${missing[*]}   (what needs them is skipped until then)"
    fi
fi

# Python environment, from hash-locked requirements.
python=$(command -v python3.11 || command -v python3 || true)
[ -n "$python" ] || { say "python3.11 is missing; fix: apt-get install python3.11 python3.11-venv"; exit 1; }
project=$(sed -n '/^\[project/,/^\[tool\./p' pyproject.toml)
wanted=$(printf '%s' "$project" | cat - requirements/dev.txt | sha256sum | cut -c1-64)
stamp=.venv/muslin-setup
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted:$PWD" ]; then
    say "making the virtual environment"
    "$python" -m venv --clear .venv
    .venv/bin/pip -q --disable-pip-version-check install --require-hashes -r requirements/dev.txt
    .venv/bin/pip -q --disable-pip-version-check install --no-deps --no-build-isolation -e .
    printf '%s' "$wanted:$PWD" >"$stamp"
fi

# The CNI executable, where there is a compiler; the Python one serves elsewhere.
shim=runtime/cni/shim.c
if [ -f "$shim" ] && [ "$shim" -nt build/muslin-cni ]; then
    mkdir -p build
    if command -v gcc >/dev/null 2>&1; then
        gcc -O2 -Wall -Wextra -Werror -o build/muslin-cni "$shim"
    else
        say "no C compiler: the CNI executable in Python will be used (slower); fix: apt-get install gcc"
    fi
fi
