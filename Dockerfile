# The manager's image: the provider, kind and a docker client, without anything to build with.
#
# hack/image.sh (make image) fills build/image: bin/kind, bin/docker and, where containers reach no package index, wheels/.
#
# The base image is an argument, so that a mirror or an image of one's own can be used; it needs Python 3.11 or newer, venv and pip:
#   make image BASE_IMAGE=mirror.example/python:3.11-slim-bookworm
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# Engines without BuildKit keep this stage as an image without a name.
LABEL org.opencontainers.image.title="cluster-api-provider-kind"
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY provider ./provider
# The glob matches nothing where no wheels were made; README.md keeps COPY from failing then.
COPY README.md build/image/wheel[s]/* /wheels/
RUN set -eu; \
    python3 -m venv --without-pip /opt/provider; \
    install="python3 -m pip --python /opt/provider/bin/python install --no-cache-dir --disable-pip-version-check -q"; \
    if ls /wheels/*.whl >/dev/null 2>&1; then \
      $install --no-index --find-links=/wheels --require-hashes -r requirements.lock; \
      $install --no-index --no-deps /wheels/cluster_api_provider_kind-*.whl; \
    else \
      $install --require-hashes -r requirements.lock; \
      $install --no-deps .; \
    fi

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="cluster-api-provider-kind" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/provider /opt/provider
COPY build/image/bin/ /usr/local/bin/
ENV PATH=/opt/provider/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/provider \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# Others may enter: the Deployment runs as root without capabilities (the engine's socket is root's), to whom a private folder is closed.
# What the manager keeps here is in folders of mode 0700.
RUN mkdir -m 0755 /var/lib/provider && chown 65532:65532 /var/lib/provider
USER 65532:65532
WORKDIR /var/lib/provider
# Liveness is the orchestrator's business: /healthz, see docs/reference/settings.md.
HEALTHCHECK NONE
ENTRYPOINT ["cluster-api-provider-kind"]
