#!/bin/sh
# Makes muslin/datastore/etcd/rpc_pb2.py and rpc_pb2.pyi from rpc.proto, in an environment that is thrown away.
#
# The code of grpcio-tools 1.72.2 (libprotoc 30.0) runs with protobuf from 6.30 on, below 7: what Pulumi allows.
# Usage: scripts/etcd/generate.sh   (needs the package index that pip is set up for)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet grpcio-tools==1.72.2
cd "$root"
"$scratch/venv/bin/python" -m grpc_tools.protoc --proto_path=. --python_out="$scratch" --pyi_out="$scratch" \
    muslin/datastore/etcd/rpc.proto
for made in rpc_pb2.py rpc_pb2.pyi; do
    case $made in
        *.py) rules='E402, E501, I001, Q000, Q004, SLF001' ;;
        *) rules='A002, E501, I001, N803, PYI021, RUF023, UP007, UP045' ;;
    esac
    {
        echo '"""Generated from rpc.proto by scripts/etcd/generate.sh: edit that."""'
        echo
        echo "# ruff: noqa: $rules"
        echo '# mypy: ignore-errors'
        echo '# fmt: off'
        cat "$scratch/muslin/datastore/etcd/$made"
    } >"muslin/datastore/etcd/$made"
done
