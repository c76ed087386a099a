#!/bin/bash
# Make the virtual environment of this checkout, or leave it alone when it is up to date.
#
#   hack/venv.sh [LOCK [FOLDER]]        default: requirements-dev.lock .venv
#
# Needs bash and Python 3.11 or newer with its venv module. Everything is installed from the hashed lock and from nowhere else: wheels are
# kept in the user's cache folder, so that the next checkout needs no network. Safe to run twice at once.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=${1:-requirements-dev.lock} venv=${2:-.venv}

say() { echo "venv: $*" >&2; }
fail() { echo "venv: $*" >&2; exit 1; }

find_python() { # the first Python that is new enough
  local name
  for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then command -v "$name" && return; fi
  done
  return 1
}

fingerprint() { # what the environment depends on
  { "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; cat "$lock" hack/venv.sh; } | sha256sum | cut -d' ' -f1
}

up_to_date() { [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$wanted" ]; }

python=$(find_python) || fail "Python 3.11 or newer is needed, but ${PYTHON:-python3} is $("${PYTHON:-python3}" -V 2>&1 | head -n 1). \
Install a newer one (Debian 12 or newer: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11"
wanted=$(fingerprint)

if ! up_to_date; then
  wheels=${XDG_CACHE_HOME:-$HOME/.cache}/cluster-api-provider-kind/wheels
  mkdir -p "$wheels"
  exec 9>"$wheels/.lock"
  flock -n 9 || { say "waiting for another environment that is being made"; flock 9; }
fi

if ! up_to_date; then
  say "making $venv from $lock (once per checkout; about a minute)"
  "$python" -m venv --clear "$venv" >&2 || fail "the venv module of $python does not work. Debian: apt-get install python3-venv"
  pip() { "$venv/bin/python" -m pip --disable-pip-version-check -q "$@" >&2; }
  install() { pip install --no-index --find-links "$wheels" --require-hashes -r "$lock"; }
  if ! install 2>/dev/null; then
    pip download --only-binary :all: --require-hashes -d "$wheels" -r "$lock" || fail "cannot get the packages that $lock names (see above)"
    install
  fi
  if grep -q '^setuptools==' "$lock"; then # the package itself: importable everywhere, with its command
    pip install --no-index --no-deps --no-build-isolation --editable .
  fi
  echo "$wanted" >"$venv/.stamp"
fi
