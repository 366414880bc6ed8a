"""A certificate authority of one state folder, and the server certificates it signs. Files, no network.

``tls/authority.pem`` holds its key and certificate together, so that the two can never be of different makings;
``tls/ca.crt`` the certificate alone, to be given to callers; ``tls/server-<host>.pem`` what a listener shows, with its
key. The extensions are those that strict verifiers ask for (RFC 5280 §4.2.1; Python 3.13's default).
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxy.state import StateError, made_once, make_folder, put

_AUTHORITY_LIFE: Final = datetime.timedelta(days=3650)
_SERVER_LIFE: Final = datetime.timedelta(days=365)
_BACKDATED: Final = datetime.timedelta(hours=1)
"""For callers whose clock is behind."""
_LEFT: Final = datetime.timedelta(days=1)
"""Life that an authority must still have to be of use."""

_ALWAYS: Final = (
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
"""Names by which callers on this machine, and in-cluster clients (kubernetes.md §2.2), reach a listener."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that a listener shows: the PEM file with its key, and its number."""

    file: Path
    serial: int


class Authority:
    """The authority of a state folder, made on first use; all processes with that folder have the same."""

    def __init__(self, folder: Path, now: datetime.datetime) -> None:
        """StateError where it can be neither read nor made, or is too old."""
        self._folder = folder / "tls"
        path = self._folder / "authority.pem"
        try:
            make_folder(folder)
            kept = made_once(path, lambda: _new_authority(now))
        except OSError as error:
            raise _unusable(path, error) from None
        try:
            self._key = _private(kept)
            self._certificate = x509.load_pem_x509_certificate(kept)
        except ValueError:
            text = f"{path} is no authority; delete it to have a new one made, then hand out kubeconfigs again"
            raise StateError(text) from None
        if self._certificate.not_valid_after_utc < now + _LEFT:
            text = f"{path} is too old; delete the folder to have a new one made, then hand out kubeconfigs again"
            raise StateError(text)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        """The certificate, for callers to trust."""
        try:
            if _content(self._folder / "ca.crt") != self.pem:
                put(self._folder / "ca.crt", self.pem)
        except OSError as error:
            raise _unusable(self._folder / "ca.crt", error) from None

    def server(self, host: str, now: datetime.datetime) -> Shown:
        """A certificate for a listener on this address: the one kept, or a new one where that is due.

        It is due after two thirds of its life, and when a name is missing. StateError.
        """
        path = self._folder / f"server-{host}.pem"
        names = _names(host)
        try:
            kept = _content(path)
            certificate = None if kept is None else self._still_good(kept, names, now)
            if certificate is None:
                key, certificate = self._signed(names, now)
                put(path, key + certificate.public_bytes(serialization.Encoding.PEM))
        except OSError as error:
            raise _unusable(path, error) from None
        return Shown(path, certificate.serial_number)

    def _still_good(
        self, kept: bytes, names: Sequence[x509.GeneralName], now: datetime.datetime
    ) -> x509.Certificate | None:
        """The certificate in the file, unless it is to be replaced."""
        try:
            key, certificate = _private(kept), x509.load_pem_x509_certificate(kept)
            certificate.verify_directly_issued_by(self._certificate)
            named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:  # noqa: BLE001 - whatever is wrong with it: another one is made
            return None
        began, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        fresh = began <= now < began + (ends - began) * 2 / 3
        whole = key.public_key() == certificate.public_key() and set(names) <= set(named)
        return certificate if fresh and whole else None

    def _signed(self, names: Sequence[x509.GeneralName], now: datetime.datetime) -> tuple[bytes, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + _SERVER_LIFE, self._certificate.not_valid_after_utc)
        builder = _builder("headgate", self._certificate.subject, key.public_key(), now, ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        return _pem(key), builder.sign(self._key, hashes.SHA256())


def _new_authority(now: datetime.datetime) -> bytes:
    """Key and certificate. Its name differs from every other's, so that several may stand in one trust store."""
    key = ec.generate_private_key(ec.SECP256R1())
    mark = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:12]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Headgate local authority {mark}")])
    builder = _builder(f"Headgate local authority {mark}", name, key.public_key(), now, now + _AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    return _pem(key) + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _builder(
    subject: str,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    ends: datetime.datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
    builder = builder.issuer_name(issuer).public_key(key).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _BACKDATED).not_valid_after(ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _names(host: str) -> list[x509.GeneralName]:
    """What a listener on this address may be called, each once."""
    return [_general(name) for name in dict.fromkeys((*_ALWAYS, socket.gethostname(), host)) if _is_name(name)]


def _is_name(text: str) -> bool:
    """Whether it can stand in a certificate: an address that is one, or a name of letters, digits, dots and dashes."""
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text) is not None


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """ValueError where it is none."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError as error:  # it is encrypted
        raise ValueError(str(error)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve's key")
    return key


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _unusable(path: Path, error: OSError) -> StateError:
    return StateError(f"{path}: {error.strerror}; set HEADGATE_STATE_DIR to a folder that can be written")
