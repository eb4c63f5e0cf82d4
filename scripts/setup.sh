#!/usr/bin/env bash
# Everything that `make demo` and `make test` need, and only what is missing. Safe to run again: then under 2 s.
# Root is needed only to install Debian packages; without it the packages and the command are named.
# Safe to interrupt, and to start twice at once: what is half made is made again.
set -euo pipefail
unset CDPATH PYTHONHOME PYTHONPATH PIP_USER
umask 022
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" # an ordinary user's PATH lacks them on Debian
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

exec 9<. # one at a time in this checkout; a child that outlives us holds it too
flock -n 9 || { say "another set-up of this checkout is running; waiting for it"; flock 9; }

# The virtual environment is current if its stamp says what it was made from. Which python is first in PATH does not
# count: an environment that works is not pulled away from under those who run in it.
stamp=.venv/muslin-stamp
wanted() {
    { sed '/^\[tool\.ruff/,$d' pyproject.toml; cat requirements/dev.txt; pwd; .venv/bin/python -V; } 2>/dev/null | sha256sum
}
current() { [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ]; }
find_python() {
    for python in python3.11 python3 /usr/bin/python3.11; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && return
    done
    python=""
}
can_make_venv() { [ -n "$python" ] && "$python" -c 'import ensurepip' 2>/dev/null; }
python=""
current || find_python

# Debian packages, by the program that proves them there.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need ip iproute2
need nft nftables
need ping iputils-ping
need unshare util-linux
need git git
need conntrack conntrack
need bird bird2
need ssh-keygen openssh-client
need gpg gnupg
need sshd openssh-server
need gcc gcc
[ -e /usr/include/stdio.h ] || missing+=(libc6-dev)
if ! current && ! can_make_venv; then
    [ -n "$python" ] || missing+=(python3.11)
    missing+=("$(basename "${python:-python3.11}" | sed 's/^python3$/python3.11/')-venv")
fi

# Daemons of these packages are wanted as programs only: nothing may start them, now or at the next boot. A policy of
# ours that is still there tells of a set-up that was killed while it installed.
policy=/usr/sbin/policy-rc.d
ours() { grep -qs muslin-setup "$policy"; }
apt() { DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >&2; }
disable() { # a service, if it is this set-up that brought its package
    if [[ " ${missing[*]} " == *" $1 "* ]] || grep -qs "muslin-setup:.* $1" "$policy"; then
        DPKG_MAINTSCRIPT_PACKAGE=$1 deb-systemd-helper disable "$2" >&2 || true
    fi
}
install_packages() (
    exec 8>/run/muslin-setup.lock
    flock 8
    if [ ${#missing[@]} -gt 0 ]; then
        say "installing Debian packages: ${missing[*]}"
        apt update || say "the package lists could not be refreshed; trying with the old ones"
        apt install --download-only "${missing[@]}" || true
    fi
    trap '' HUP INT TERM # from here on: a package that is half installed is worse than some seconds of patience
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\n# muslin-setup: %s\nexit 101\n' "${missing[*]}" >"$policy"
        chmod 755 "$policy"
    fi
    dpkg --configure -a >&2 || true
    if [ ${#missing[@]} -gt 0 ] && ! apt install "${missing[@]}"; then
        for package in "${missing[@]}"; do
            apt install "$package" || say "could not be installed: $package (what needs it is skipped)"
        done
    fi
    disable bird2 bird.service
    disable openssh-server ssh.service
    ! ours || rm -f "$policy"
)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    if [ ${#missing[@]} -gt 0 ] || ours; then install_packages; fi
elif [ ${#missing[@]} -gt 0 ]; then
    say "missing Debian packages: ${missing[*]}"
    say "fix: run as root: apt-get install ${missing[*]}   (what needs them is skipped until then)"
fi

# Python environment, from hash-locked requirements.
if ! current; then
    find_python
    can_make_venv || { say "a virtual environment can't be made without python3.11 and python3.11-venv"; exit 1; }
    say "making the virtual environment"
    "$python" -m venv --clear .venv
    .venv/bin/pip -q --disable-pip-version-check install --require-hashes -r requirements/dev.txt
    .venv/bin/pip -q --disable-pip-version-check install --no-deps --no-build-isolation -e .
    wanted >"$stamp"
fi

# The CNI executable, where there is a compiler; the Python one serves elsewhere. Static where that can be linked: it
# runs once for every pod, and a third of its time would go by looking for libraries.
shim=runtime/cni/shim.c built=build/muslin-cni
compile() { gcc -O2 -Wall -Wextra -Werror "$@" -o "$built.new" "$shim"; }
if [ "$shim" -nt "$built" ]; then
    mkdir -p build
    if compile -static 2>/dev/null || compile; then
        mv "$built.new" "$built"
    else
        rm -f "$built" "$built.new"
        say "no C compiler that can build $shim: the CNI executable in Python is used (slower)"
        say "fix: run as root: apt-get install gcc libc6-dev"
    fi
fi
