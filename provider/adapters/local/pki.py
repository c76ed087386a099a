"""Keys, certificates and kubeconfigs of an API server on loopback. EC keys: the whole set takes a few milliseconds."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provider.adapters.kube.kubeconfig import document

LIFETIME = timedelta(days=365)
AUTHORITY_LIFETIME = timedelta(days=3650)
"""kubeadm's numbers: one year for certificates that can be renewed, ten for authorities."""
RENEW_BEFORE = timedelta(days=30)
"""A certificate that expires sooner than this is renewed when its cluster is started."""
OVERDUE = timedelta(days=7)
"""A cluster with a certificate that expires sooner than this is started again to renew it."""
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
SERVER_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def matches(self) -> bool:
        """Whether the certificate is for this key."""
        return self.certificate.public_key() == self.key.public_key()

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _subject(user: str, groups: tuple[str, ...] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name(attributes)


def _made(
    subject: x509.Name, *extensions: x509.ExtensionType, ca: KeyPair | None = None, lifetime: timedelta = LIFETIME
) -> KeyPair:
    """A new key, and a certificate for it that `ca` signs; without one it signs itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))  # for clients whose clock is behind
        .not_valid_after(now + lifetime)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return KeyPair(key, builder.sign(ca.key if ca else key, hashes.SHA256()))


def authority(name: str = "kubernetes") -> KeyPair:
    """A certificate authority."""
    return _made(_subject(name), x509.BasicConstraints(ca=True, path_length=0), lifetime=AUTHORITY_LIFETIME)


def serving(ca: KeyPair, *addresses: str, names: Sequence[str] = SERVER_NAMES) -> KeyPair:
    """A server's own certificate: valid on loopback, for `addresses` (an API server's: the first of its service network) and `names`."""
    subjects: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    subjects += [x509.IPAddress(ipaddress.ip_address(address)) for address in (*SERVER_ADDRESSES, *addresses)]
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _made(_subject("kube-apiserver"), x509.SubjectAlternativeName(subjects), usage, ca=ca)


def client(ca: KeyPair, user: str, *groups: str) -> KeyPair:
    """A client certificate: common name = user, organisations = groups."""
    return _made(_subject(user, groups), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), ca=ca)


def kubeconfig(server: str, ca: KeyPair, user: KeyPair, name: str = "management") -> bytes:
    """A kubeconfig with inline data only (JSON, which is YAML)."""
    content = document(name, server, ca.certificate_pem, user.certificate_pem, user.key_pem)
    return json.dumps(content, indent=1).encode()


def load(key_pem: bytes, certificate_pem: bytes) -> KeyPair:
    """Read a pair back. Raises ValueError for what is none."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")  # noqa: TRY004 - the file's fault, not the caller's
    return KeyPair(key, x509.load_pem_x509_certificate(certificate_pem))


def end(certificate_pem: bytes) -> datetime:
    """When a certificate ends. Raises ValueError for what is none."""
    return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
