"""From a KINDClusterSpec to what a runtime is asked for: a kind v1alpha4 document as plain data. Pure; no text is ever templated.

The ownership mark is not in here: the adapter that makes the containers adds it.
"""

from __future__ import annotations

from provider.render.config import kind_config
from provider.render.request import cluster_request, config_hash, resolved_image, seconds

__all__ = ["cluster_request", "config_hash", "kind_config", "resolved_image", "seconds"]
