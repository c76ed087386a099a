"""Our kinds, v1alpha1: each kind in its own file, with its models and its definition.

A new kind is a new file and an entry of RESOURCES. Its CRD, and the list of CRDs in config/crd, are made from that (`make manifests`).
"""

from __future__ import annotations

from provider.api.v1alpha1 import kindcluster, kindclustertemplate, kindcontrolplane, kindcontrolplanetemplate

RESOURCES = (
    kindcluster.DEFINITION,
    kindclustertemplate.DEFINITION,
    kindcontrolplane.DEFINITION,
    kindcontrolplanetemplate.DEFINITION,
)
