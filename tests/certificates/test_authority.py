"""The local authority: kept, believed by strict verifiers, and never replaced behind anybody's back."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, Store

from proxy.certificates.authority import Authority, Shown
from proxy.state import StateError

NOW = datetime.datetime(2031, 5, 17, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def loaded(shown: Shown) -> x509.Certificate:
    return x509.load_pem_x509_certificate(shown.file.read_bytes())


def verified(authority: Authority, shown: Shown, name: x509.DNSName | x509.IPAddress, now: datetime.datetime) -> None:
    """A verifier other than OpenSSL, and stricter."""
    store = Store([x509.load_pem_x509_certificate(authority.pem)])
    PolicyBuilder().store(store).time(now).build_server_verifier(name).verify(loaded(shown), [])


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "::1", "fd00::7", "gateway.internal", "0.0.0.0"])
def test_every_name_of_a_listener(tmp_path: Path, host: str) -> None:
    authority = Authority(tmp_path, NOW)
    shown = authority.server(host, NOW)
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", socket.gethostname()]
    for name in (*names, "kubernetes.default.svc.cluster.local"):
        verified(authority, shown, x509.DNSName(name), NOW)
    for address in ("127.0.0.1", "::1"):
        verified(authority, shown, x509.IPAddress(ipaddress.ip_address(address)), NOW)
    if host == "gateway.internal":
        verified(authority, shown, x509.DNSName(host), NOW)
    elif host != "0.0.0.0":
        verified(authority, shown, x509.IPAddress(ipaddress.ip_address(host)), NOW)
    named = loaded(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ipaddress.ip_address("0.0.0.0") not in named.get_values_for_type(x509.IPAddress)


def test_its_keys_are_p_256(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    for pem in (authority.pem, authority.server("127.0.0.1", NOW).file.read_bytes()):
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"


def test_it_is_kept(tmp_path: Path) -> None:
    first = Authority(tmp_path, NOW)
    shown = first.server("127.0.0.1", NOW)
    again = Authority(tmp_path, NOW + 100 * DAY)
    assert again.pem == first.pem == (tmp_path / "tls" / "ca.crt").read_bytes()
    assert again.server("127.0.0.1", NOW + 100 * DAY) == shown
    assert again.server("::1", NOW).serial != shown.serial


def test_two_thirds_of_a_year(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    shown = authority.server("127.0.0.1", NOW)
    assert loaded(shown).not_valid_after_utc == NOW + 365 * DAY
    assert authority.server("127.0.0.1", NOW + 243 * DAY) == shown
    later = NOW + 244 * DAY
    renewed = authority.server("127.0.0.1", later)
    assert renewed.serial != shown.serial and loaded(renewed).not_valid_after_utc == later + 365 * DAY
    verified(authority, renewed, x509.DNSName("localhost"), later)


def test_a_clock_that_went_back(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    shown = authority.server("127.0.0.1", NOW)
    assert authority.server("127.0.0.1", NOW - 2 * DAY).serial != shown.serial


def test_a_machine_with_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path, NOW)
    shown = authority.server("127.0.0.1", NOW)
    monkeypatch.setattr(socket, "gethostname", lambda: "moved")
    renewed = authority.server("127.0.0.1", NOW)
    assert renewed.serial != shown.serial
    verified(authority, renewed, x509.DNSName("moved"), NOW)
    monkeypatch.setattr(socket, "gethostname", lambda: "no name: ünïcode")
    assert authority.server("127.0.0.1", NOW) == renewed


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"])
def test_a_broken_certificate_is_made_anew(tmp_path: Path, content: bytes) -> None:
    authority = Authority(tmp_path, NOW)
    authority.server("127.0.0.1", NOW).file.write_bytes(content)
    verified(authority, authority.server("127.0.0.1", NOW), x509.DNSName("localhost"), NOW)


def test_a_certificate_of_another_authority_is_made_anew(tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", NOW).server("127.0.0.1", NOW)
    authority = Authority(tmp_path, NOW)
    authority.server("127.0.0.1", NOW).file.write_bytes(other.file.read_bytes())
    verified(authority, authority.server("127.0.0.1", NOW), x509.DNSName("localhost"), NOW)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"])
def test_a_broken_authority_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    """Whoever trusts the old one would be locked out without a word."""
    Authority(tmp_path, NOW)
    (tmp_path / "tls" / "authority.pem").write_bytes(content)
    with pytest.raises(StateError, match="is no authority; delete it to have a new one made"):
        Authority(tmp_path, NOW)


def test_an_old_authority_is_not_replaced_either(tmp_path: Path) -> None:
    Authority(tmp_path, NOW)
    Authority(tmp_path, NOW + 3648 * DAY).server("127.0.0.1", NOW + 3648 * DAY)
    with pytest.raises(StateError, match="is too old; delete the folder"):
        Authority(tmp_path, NOW + 3650 * DAY)


def test_two_authorities_do_not_bear_one_name(tmp_path: Path) -> None:
    subjects = {x509.load_pem_x509_certificate(Authority(tmp_path / n, NOW).pem).subject for n in "ab"}
    assert len(subjects) == 2
