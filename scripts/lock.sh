#!/usr/bin/env bash
# Lock the requirements with hashes. The files name no index, so that any mirror serves.
set -euo pipefail
cd "$(dirname "$0")/../requirements"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3.11 -m venv "$tools" && "$tools/bin/pip" -q install pip-tools
for name in runtime dev; do
    "$tools/bin/pip-compile" -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --no-header --strip-extras --allow-unsafe -o "$name.txt" "$name.in"
done
