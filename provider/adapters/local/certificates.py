"""The files of a cluster's certificates: which there are, when they are renewed, and the kubeconfigs made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

from provider.adapters.files import replace_file
from provider.adapters.local import components, pki
from provider.adapters.local.loopback import HOST
from provider.adapters.local.state import State
from provider.adapters.oserrors import raise_lack

AUTHORITY, ACCOUNTS, ADMIN = "ca", "sa", "admin"
CLIENTS = {
    ADMIN: ("kubernetes-admin", "system:masters"),
    components.CONTROLLER_MANAGER: ("system:kube-controller-manager",),
    components.SCHEDULER: ("system:kube-scheduler",),
    components.KWOK: ("kwok", "system:masters"),
}
"""File name to user and groups of the certificates that are made for it."""


def ensure(folder: Path, state: State) -> frozenset[str]:
    """Make what is missing, mismatched or about to expire; returns the names of the components whose certificate is new.

    The authority and the key of ServiceAccount tokens are never replaced: kubeconfigs and tokens that users hold depend on them.
    """
    authority, now, made = _ensure_authority(folder, AUTHORITY), datetime.now(UTC), set[str]()
    _ensure_authority(folder, ACCOUNTS)
    if _due(folder, components.API_SERVER, now):
        kubernetes_default = ip_network(components.service_subnet(state), strict=False)[1]
        _write(folder, components.API_SERVER, pki.serving(authority, str(kubernetes_default)))
        made.add(components.API_SERVER)
    for name, (user, *groups) in CLIENTS.items():
        if _due(folder, name, now):
            _write(folder, name, pki.client(authority, user, *groups))
            made.add(name)
    if state.port:
        write_kubeconfigs(folder, state)
    return frozenset(made)


def renew_client(folder: Path, name: str) -> None:
    """A new pair for one of CLIENTS. Raises OSError or ValueError.

    The certificate is written last, and its end is what makes a renewal due: killed in between, it is due again.
    """
    user, *groups = CLIENTS[name]
    _write(folder, name, pki.client(_load(folder, AUTHORITY), user, *groups))


def overdue(folder: Path) -> bool:
    """Whether a certificate is missing, or expires so soon that the cluster should be started again to renew it."""
    latest = datetime.now(UTC) + pki.OVERDUE
    try:
        return any(pki.end((folder / f"{name}.crt").read_bytes()) < latest for name in (components.API_SERVER, *CLIENTS))
    except (OSError, ValueError) as error:
        raise_lack(error)
        return True


def write_kubeconfigs(folder: Path, state: State) -> None:
    """One for each client, with the port the API server has."""
    for name in CLIENTS:
        replace_file(folder / f"{name}.kubeconfig", kubeconfig(folder, state, name, name))


def kubeconfig(folder: Path, state: State, client: str, name: str) -> bytes:
    """Raises OSError or ValueError when there are no certificates."""
    return pki.kubeconfig(f"https://{HOST}:{state.port}", _load(folder, AUTHORITY), _load(folder, client), name)


def _ensure_authority(folder: Path, name: str) -> pki.KeyPair:
    """The key is written first: if the certificate exists, both do."""
    if not (folder / f"{name}.crt").exists():
        _write(folder, name, pki.authority())
    return _load(folder, name)


def _due(folder: Path, name: str, now: datetime) -> bool:
    """Also for a pair that is missing or does not match: key and certificate are two files, and a writer may be killed between them."""
    try:
        pair = _load(folder, name)
    except (OSError, ValueError) as error:
        raise_lack(error)
        return True
    return not pair.matches or pair.certificate.not_valid_after_utc - now < pki.RENEW_BEFORE


def _load(folder: Path, name: str) -> pki.KeyPair:
    return pki.load((folder / f"{name}.key").read_bytes(), (folder / f"{name}.crt").read_bytes())


def _write(folder: Path, name: str, pair: pki.KeyPair) -> None:
    replace_file(folder / f"{name}.key", pair.key_pem)
    replace_file(folder / f"{name}.crt", pair.certificate_pem)
