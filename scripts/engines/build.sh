#!/bin/sh
# Real servers for tests: builds kube-apiserver and etcd from Go's module proxy into build/engines.
#
#   scripts/engines/build.sh            build what is missing or pinned anew: minutes, and 550 MB of modules, once
#   scripts/engines/build.sh kubectl    kubectl as well, for the benches that stand beside it
#   scripts/engines/build.sh --status   say where tests find each program, or what would bring it; builds nothing
#
# Exit status: 0 all is there (or --status), 1 it could not be built, with the reason.
set -eu
cd "$(dirname "$0")"
out=../../build/engines
needed=1.26
pinned=$(sed -n 's/^[[:space:]]*\(require \)\{0,1\}k8s.io\/kubernetes \(v[^ ]*\).*/\2/p' go.mod | head -n 1)

# The pins that a program was built from stand beside it.
pins() { cat go.mod go.sum build.sh | cksum; }
current() { [ -x "$out/$1" ] && [ "$(cat "$out/$1.pins" 2>/dev/null)" = "$(pins)" ]; }

why_not() {
    command -v go >/dev/null || { echo "there is no Go on PATH; $needed or newer builds it (https://go.dev/dl)"; return; }
    have=$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//; s/[^0-9.].*//')
    oldest=$(printf '%s\n%s\n' "$needed" "$have" | sort -V | head -n 1)
    [ "$oldest" = "$needed" ] || echo "Go $have is too old, $needed or newer is needed"
}

status() {
    for program in kube-apiserver etcd kubectl; do
        if [ -n "${MUSLIN_ENGINES:-}" ] && { [ -x "$MUSLIN_ENGINES/$program" ] || [ -f "$MUSLIN_ENGINES/$program.xz" ]; }; then
            echo "$program: in MUSLIN_ENGINES, $MUSLIN_ENGINES"
        elif [ -x "$out/$program" ]; then
            current "$program" && echo "$program: built" || echo "$program: built from other pins; scripts/engines/build.sh renews it"
        elif command -v "$program" >/dev/null; then
            echo "$program: $(command -v "$program")"
        else
            reason=$(why_not)
            if [ "$program" = kubectl ]; then
                echo "kubectl: missing, benches do without it; ${reason:-scripts/engines/build.sh kubectl builds it}"
                continue
            fi
            echo "$program: missing, tests of it are skipped; ${reason:-scripts/engines/build.sh builds it in minutes}"
            [ "$program" = kube-apiserver ] || echo "etcd: Debian's does as well; as root: apt-get install etcd-server"
        fi
    done
}

build() {
    flags="-s -w"
    version=k8s.io/component-base/version
    minor=${pinned#v1.}
    flags="$flags -X $version.gitVersion=$pinned -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
    flags="$flags -X $version.gitTreeState=clean"
    echo "building $1, pinned with Kubernetes $pinned; this takes minutes"
    GOWORK=off GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" \
        nice go build -trimpath -ldflags "$flags" -o "$out/.$1.new" "$2"
    mv "$out/.$1.new" "$out/$1"
    pins >"$out/$1.pins"
}

if [ "${1:-}" = --status ]; then
    status
    exit 0
fi
mkdir -p "$out"
if ! current kube-apiserver || ! current etcd || { [ "${1:-}" = kubectl ] && ! current kubectl; }; then
    reason=$(why_not)
    [ -z "$reason" ] || { echo "not built: $reason" >&2; exit 1; }
fi
current kube-apiserver || build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
current etcd || build etcd go.etcd.io/etcd/server/v3
[ "${1:-}" != kubectl ] || current kubectl || build kubectl k8s.io/kubernetes/cmd/kubectl
status
