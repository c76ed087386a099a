"""KINDClusterSpec → ClusterRequest, and the fingerprint by which a changed request is noticed."""

from __future__ import annotations

import hashlib
import json

from provider.api.duration import parse_duration
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.ports.runtime import ClusterRequest
from provider.reconcile.kind_config import kind_config

NODE_REPOSITORY = "kindest/node"
HASH_LENGTH = 32


def cluster_request(
    spec: KINDClusterSpec,
    *,
    cluster_name: str,
    pod_subnet: str | None = None,
    service_subnet: str | None = None,
    default_image: str | None = None,
    default_timeout: float = 600.0,
) -> ClusterRequest:
    """`default_timeout` in seconds holds where spec.createTimeout is absent."""
    return ClusterRequest(
        config=kind_config(spec, cluster_name, pod_subnet=pod_subnet, service_subnet=service_subnet),
        image=resolved_image(spec, default_image),
        version=spec.version,
        timeout=parse_duration(spec.create_timeout).total_seconds() if spec.create_timeout else default_timeout,
        retain_on_failure=bool(spec.retain_on_failure),
    )


def resolved_image(spec: KINDClusterSpec, default_image: str | None) -> str | None:
    """Image of nodes that name none themselves: spec.image, else kindest/node of spec.version, else the default, else kind's own.

    A tag without a digest on purpose: an image that was built or loaded locally has no digest, and kind would try to pull it.
    """
    if spec.image:
        return spec.image
    return f"{NODE_REPOSITORY}:{spec.version}" if spec.version else default_image


def config_hash(request: ClusterRequest) -> str:
    """32 hexadecimal digits over all that shapes the made cluster; how long a create may take is not part of it."""
    shape = {"config": request.config, "image": request.image, "version": request.version}
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
