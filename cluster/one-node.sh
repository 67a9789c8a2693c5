#!/usr/bin/env bash
# All GPUs of this machine, or all of its cores: `bash cluster/one-node.sh`, with further words of the campaign after it.
set -eu
cd "$(dirname "$0")/.."
exec "${PYTHON:-.venv/bin/python}" -m lib.runs campaign --preset "${PRESET:-full}" --engine processes "$@"
