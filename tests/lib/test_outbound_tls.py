"""https is verified, always: real handshakes with certificates made here."""

import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from automette.lib.outbound import client
from tests.lib.outbound_servers import Names, Server, answer, call, refusal, saying

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def _loopback_is_allowed(settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]


class Authority:
    """Signs certificates; `trusted` makes this process trust it, as an operator would, by the environment."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of this test")])
        self.file = folder / "authority.pem"
        now = dt.datetime.now(dt.UTC)
        self.certificate = self._sign(self.name, self.key, now - DAY, now + DAY, authority=True)
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, start, end, *alternatives, authority=False):
        names = x509.SubjectAlternativeName([x509.DNSName(one) for one in alternatives])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
        )
        if alternatives:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, name: str, *, until=DAY) -> Server:
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, now - 5 * DAY, now + until, name)
        file = self.folder / f"{name}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return Server(saying(answer(b"verified")), tls=context)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    client._tls.cache_clear()  # made once per process
    yield authority
    client._tls.cache_clear()


def url_and_names(server: Server, host: str = "good.example"):
    return f"https://{host}:{server.port}/", {"lookup": Names(**{host.replace(".", "_"): [["127.0.0.1"]]})}


def test_control_certificate_of_a_trusted_authority_for_this_name_is_accepted(trusted):
    url, names = url_and_names(trusted.server("good.example"))
    assert call(url, client=names).body == b"verified"


def test_certificate_of_an_unknown_authority_is_refused(authority):
    server = authority.server("good.example")
    url, names = url_and_names(server)
    error = refusal(url, client=names)
    assert (error.code, server.requests) == ("tls", [])
    assert error.message == "good.example could not prove who it is: unable to get local issuer certificate."


def test_certificate_for_another_name_is_refused(trusted):
    server = trusted.server("other.example")
    url, names = url_and_names(server)
    error = refusal(url, client=names)
    assert (error.code, server.requests) == ("tls", [])
    assert error.message == "good.example could not prove who it is: Hostname mismatch."


def test_expired_certificate_is_refused(trusted):
    server = trusted.server("good.example", until=-DAY)
    url, names = url_and_names(server)
    error = refusal(url, client=names)
    assert (error.code, server.requests) == ("tls", [])
    assert error.message == "good.example could not prove who it is: certificate has expired."


def test_server_without_tls_is_refused():
    server = Server(saying(answer()), waits=False)
    assert refusal(f"https://127.0.0.1:{server.port}/").code == "tls"


def test_deadline_covers_the_handshake(tmp_path):
    server = Server(saying(b""))  # it waits for the end of the headers, which a handshake does not have
    assert refusal(f"https://127.0.0.1:{server.port}/", seconds=0.4).code == "timeout"


def test_old_versions_of_tls_are_not_offered():
    assert client._tls().minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client._tls().verify_mode == ssl.CERT_REQUIRED
    assert client._tls().check_hostname
