"""`--tls`: a certificate authority of this data directory, and the server certificate it signs.

Clients trust `tls/ca.pem` (AWS_CA_BUNDLE). The authority's key never leaves the data directory.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from clary.gateway.data_directory import write_atomically

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""What clients accept of a server certificate at most."""
RENEW_DAYS = 30
_LOCAL = ("localhost", "*.localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files: the authority to trust, and what the server presents."""

    authority: Path
    certificate: Path
    key: Path


def ensure(directory: Path, names: Iterable[str]) -> Files:
    """The files, made or renewed where they are missing, near their end, or lack one of `names`."""
    directory.mkdir(mode=0o700, exist_ok=True)
    files = Files(directory / "ca.pem", directory / "server.pem", directory / "server-key.pem")
    wanted = [*_LOCAL, *(name for name in names if name not in _LOCAL)]
    authority_key = directory / "ca-key.pem"
    if not _is_good(files.authority, []) or not authority_key.exists():
        _make_authority(files.authority, authority_key)
        files.certificate.unlink(missing_ok=True)
    if not _is_good(files.certificate, wanted) or not files.key.exists():
        _make_certificate(files, authority_key, wanted)
    return files


def _is_good(file: Path, names: list[str]) -> bool:
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    if certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=RENEW_DAYS):
        return False
    return (
        not names
        or _alternative_names(names) == certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    )


def _alternative_names(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _make_authority(file: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Clary local certificate authority")
    builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    _write_key(key_file, key)
    _write_certificate(file, builder.sign(key, hashes.SHA256()))


def _make_certificate(files: Files, authority_key: Path, names: list[str]) -> None:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    signer = serialization.load_pem_private_key(authority_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name("localhost"), authority.subject, key.public_key(), SERVER_DAYS)
    builder = builder.add_extension(_alternative_names(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(signed_by, critical=False)
    _write_key(files.key, key)
    _write_certificate(files.certificate, builder.sign(signer, hashes.SHA256()))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    write_atomically(file, text)


def _write_certificate(file: Path, certificate: x509.Certificate) -> None:
    write_atomically(file, certificate.public_bytes(serialization.Encoding.PEM).decode(), mode=0o644)
