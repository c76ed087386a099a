"""The node image that each release of kind was published with, pinned by digest. Facts of kind's source, nothing else.

kind has no command that says it. Each line is the constant of pkg/apis/config/defaults/image.go of that release; a new release of kind is a
new line, copied from there. A release that is not listed has none that is known: a full version, or an image, has to be named then.
"""

from __future__ import annotations

NODE_IMAGES = {
    "v0.30.0": "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a",
    "v0.31.0": "kindest/node:v1.35.0@sha256:452d707d4862f52530247495d180205e029056831160e22870e37e3f6c1ac31f",
    "v0.32.0": "kindest/node:v1.36.1@sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5",
}


def known(release: str) -> tuple[str, ...]:
    """For `release` as kind says it: "v0.30.0"."""
    return (NODE_IMAGES[release],) if release in NODE_IMAGES else ()
