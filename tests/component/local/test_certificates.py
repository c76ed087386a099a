"""What a cluster's certificates are, when they are due, and that a torn one is mended."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provider.adapters.files import replace_file
from provider.adapters.local import certificates, components, pki
from provider.adapters.local.state import State

STATE = State(marker="m", holder="default/one", nodes=(), networking={"serviceSubnet": "10.99.0.0/16"}, port=6443)
LEAVES = {components.API_SERVER, *certificates.CLIENTS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert certificates.ensure(tmp_path, STATE) == LEAVES
    return tmp_path


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def let_expire(folder: Path, name: str, left: timedelta) -> None:
    """Replace a certificate by one for the same key that ends soon."""
    pair = pki.load((folder / f"{name}.key").read_bytes(), (folder / f"{name}.crt").read_bytes())
    now, subject = datetime.now(UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, pair.key.public_key(), 1, now - timedelta(days=1), now + left)
    made_pair = pki.KeyPair(pair.key, made.sign(pair.key, hashes.SHA256()))
    replace_file(folder / f"{name}.crt", made_pair.certificate_pem)


def test_nothing_is_made_twice(folder: Path) -> None:
    """A second look changes no file."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert certificates.ensure(folder, STATE) == set()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not certificates.overdue(folder)


def test_every_purpose_has_a_key_of_its_own(folder: Path) -> None:
    """Authority, serving, ServiceAccount tokens, and one for each client; all private."""
    keys = list(folder.glob("*.key"))
    assert {path.stem for path in keys} == LEAVES | {"ca", "sa"}
    assert len({path.read_bytes() for path in keys}) == len(keys)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_clients_are_who_kubernetes_takes_them_for(folder: Path) -> None:
    """Common name and organisations, as RBAC's bootstrap policy names them."""
    for name, (user, *groups) in certificates.CLIENTS.items():
        subject = certificate(folder, name).subject
        assert [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
        assert [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == groups


def test_the_api_server_is_valid_on_loopback_and_at_the_first_service_address(folder: Path) -> None:
    """`kubernetes.default` resolves to the latter."""
    names = certificate(folder, components.API_SERVER).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", "10.99.0.1"} <= addresses


@pytest.mark.parametrize("name", sorted(LEAVES))
@pytest.mark.parametrize(("days", "renewed", "drift"), [(31, False, False), (29, True, False), (6, True, True), (0, True, True)])
def test_a_certificate_is_renewed_before_it_ends(folder: Path, name: str, days: int, renewed: bool, drift: bool) -> None:
    """In the last 30 days when its cluster is started anyway; in the last 7 it is drift, so that the cluster is started for it."""
    let_expire(folder, name, timedelta(days=days))

    assert certificates.overdue(folder) is drift
    assert certificates.ensure(folder, STATE) == ({name} if renewed else set())
    assert not certificates.overdue(folder)


def test_what_cannot_be_issued_anew_outlives_what_can(folder: Path) -> None:
    """Ten years: every kubeconfig handed out trusts the authority."""
    for name in ("ca", "sa"):
        assert certificate(folder, name).not_valid_after_utc - datetime.now(UTC) > timedelta(days=3600)
        let_expire(folder, name, timedelta(days=1))
        before = (folder / f"{name}.crt").read_bytes()
        certificates.ensure(folder, STATE)
        assert (folder / f"{name}.crt").read_bytes() == before


@pytest.mark.parametrize("how", ["no key", "another key", "half a certificate", "nothing", "not a key"])
def test_a_torn_pair_is_made_again(folder: Path, how: str) -> None:
    """A writer may be killed between two files."""
    key, crt = folder / "admin.key", folder / "admin.crt"
    match how:
        case "no key":
            key.unlink()
        case "another key":
            key.write_bytes((folder / "kwok.key").read_bytes())
        case "half a certificate":
            crt.write_bytes(crt.read_bytes()[:100])
        case "nothing":
            crt.unlink()
        case _:
            key.write_text("-----BEGIN PRIVATE KEY-----\n")
    assert certificates.ensure(folder, STATE) == {"admin"}


def test_only_ec_keys_are_read() -> None:
    """Nothing else was ever written."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ValueError, match="not an EC key"):
        pki.load(pem, pki.authority().certificate_pem)
    assert isinstance(pki.authority().key, ec.EllipticCurvePrivateKey)


def test_a_kubeconfig_holds_data_and_no_references(folder: Path) -> None:
    """One cluster, user and context; nothing to be executed or opened."""
    made = json.loads(certificates.kubeconfig(folder, STATE, "admin", "kind-one"))
    assert made["clusters"][0]["cluster"].keys() == {"server", "certificate-authority-data"}
    assert made["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert made["users"][0]["user"].keys() == {"client-certificate-data", "client-key-data"}
    assert {made["current-context"], made["contexts"][0]["name"], made["users"][0]["name"]} == {"kind-one"}


def test_a_client_is_renewed_alone(folder: Path) -> None:
    """Signed by the same authority, so the API server takes it at once, and what was handed out before stays good."""
    let_expire(folder, certificates.ADMIN, timedelta(days=40))
    others = {name: certificate(folder, name) for name in LEAVES - {certificates.ADMIN}}
    certificates.renew_client(folder, certificates.ADMIN)

    new = certificate(folder, certificates.ADMIN)
    assert new.not_valid_after_utc - datetime.now(UTC) > timedelta(days=364)
    new.verify_directly_issued_by(certificate(folder, certificates.AUTHORITY))
    assert others == {name: certificate(folder, name) for name in others}
