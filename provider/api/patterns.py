"""Regular expressions of the API's strings. RE2 (API server), Rust (pydantic) and Python (tests) read them alike, so they have no
look-around and no back references.

Sources: Kubernetes apimachinery pkg/util/validation (labels), metav1.Condition, kind pkg/internal/apis/config (what it passes on
unescaped decides what is refused here).
"""

from __future__ import annotations

LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
IMAGE = r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$"
IMAGE_TAGGED = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$"
"""Without a digest."""
VERSION = r"^v?[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$"
VERSION_OR_MINOR = r"^v?[0-9]+\.[0-9]+(\.[0-9]+([-+][0-9A-Za-z.+-]+)?)?$"
IMAGE_PREFIX = r"^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
"""A registry, with or without a path: what can stand before "/kindest/node"."""
REGISTRY = r"^[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?$"
"""What names of images begin with; it becomes the name of a folder."""
REGISTRY_URL = r"^https?://[a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?(/[a-zA-Z0-9][-a-zA-Z0-9._]*)*$"
"""Without credentials, query and fragment."""
DURATION = r"^([0-9]{1,4}h)?([0-9]{1,4}m)?([0-9]{1,4}s)?$"
TIME = (
    r"^2[0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(Z|[-+](0[0-9]|1[0-4]):[0-5][0-9])$"
)
"""RFC 3339, of this millennium; that the month has the day is not part of it."""
PATH = r"^/$|^(/(\.{0,2}[^./:\x00-\x1f][^/:\x00-\x1f]*|\.{3}[^/:\x00-\x1f]*))+/?$"
"""Absolute, without empty parts, "." and ".."; without ":", at which engines split. Long, because RE2 has no "not this word"."""
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
FEATURE_GATE = r"^[A-Za-z][A-Za-z0-9]*$"
RUNTIME_CONFIG = r"^[A-Za-z0-9][-A-Za-z0-9._/]*$"
RUNTIME_CONFIG_VALUE = r"^[-A-Za-z0-9._/]*$"
PROTOCOL = r"^([Tt][Cc][Pp]|[Uu][Dd][Pp]|[Ss][Cc][Tt][Pp])?$"
"""In any case, as kind reads it (kind pkg/apis/config/v1alpha4/yaml.go)."""
DNS_SEARCH = r"^[A-Za-z0-9_.]([-A-Za-z0-9_.]*[A-Za-z0-9_.])?$"
CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
