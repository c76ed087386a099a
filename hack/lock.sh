#!/bin/bash
# Lock the dependencies that pyproject.toml names, with the hashes of every platform's files.
#
#   hack/lock.sh [--upgrade]            without --upgrade, versions stay as they are where they still fit
set -euo pipefail
cd "$(dirname "$0")/.."
hack/venv.sh requirements-uv.lock .venv.uv
compile() {
  .venv.uv/bin/python -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
    "${upgrade[@]}" "$@"
}
upgrade=("$@")
compile pyproject.toml -o requirements.lock
compile pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
compile --group pyproject.toml:lock -o requirements-uv.lock
