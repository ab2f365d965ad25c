"""An authority of certificates, and what it signs."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_A_DAY = dt.timedelta(days=1)


def write_certificates(directory: Path, address: str = "127.0.0.1") -> None:
    """Write `ca.pem`, `cert.pem` and `key.pem`, as `DOCKER_CERT_PATH` has them: for a client, and for a server there.

    Args:
        directory: where to.
        address: the server's IP address.
    """
    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer, subject = _name("an authority of the tests"), _name("an end")
    may_sign = x509.BasicConstraints(ca=True, path_length=0)
    signed = _certificate(issuer, authority.public_key(), issuer).add_extension(may_sign, critical=True)
    ends = (
        _certificate(subject, own.public_key(), issuer)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(signed.sign(authority, hashes.SHA256()).public_bytes(pem))
    (directory / "cert.pem").write_bytes(ends.sign(authority, hashes.SHA256()).public_bytes(pem))
    (directory / "key.pem").write_bytes(
        own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _A_DAY)
        .not_valid_after(now + _A_DAY)
    )
