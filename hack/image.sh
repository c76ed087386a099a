#!/bin/bash
# Build the manager's image.
#
#   IMAGE         its name and tag (never "latest")
#   BASE_IMAGE    a Debian with Python 3.11 or newer and venv; default: the one that the Dockerfile names
#   ENGINE        docker, podman or nerdctl
#   DOCKER_CLI    a statically linked docker client to put into the image; default: the one on PATH, if it is one
#   WHEELS        "none": let pip in the image ask its index. Otherwise it takes the wheels of this machine, which fit a base image with
#                 the same Python version as .venv
set -euo pipefail
cd "$(dirname "$0")/.."
image=${IMAGE:-cluster-api-provider-kind:dev}
context=build/image
fail() { echo "image: $*" >&2; exit 1; }

case "$image" in *:latest) fail "give it a tag that means something" ;; *:*) ;; *) fail "give it a tag: IMAGE=$image:v0.1.0" ;; esac

rm -rf "$context"
mkdir -p "$context/bin"
if [ "${WHEELS:-}" != none ]; then # made here: containers may reach no index, and this machine has them in its cache anyway
  mkdir "$context/wheels"
  wheels=${XDG_CACHE_HOME:-$HOME/.cache}/cluster-api-provider-kind/wheels
  pip() { .venv/bin/python -m pip --disable-pip-version-check -q "$@"; }
  pip download --only-binary :all: --no-index --find-links "$wheels" --require-hashes -d "$context/wheels" -r requirements.lock
  pip wheel --no-deps --no-build-isolation -w "$context/wheels" .
fi

.venv/bin/python -m hack.tools --quiet --only kind
cp -L "$(.venv/bin/python -m hack.tools --print-bin)/kind" "$context/bin/kind"
client=${DOCKER_CLI:-$(command -v docker || true)}
if [ -n "$client" ] && ! ldd "$client" >/dev/null 2>&1; then
  cp -L "$client" "$context/bin/docker"
else
  fail "no statically linked docker client found: name one with DOCKER_CLI=/path/to/docker"
fi

arguments=()
[ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
"${ENGINE:-docker}" build "${arguments[@]}" -t "$image" .
