"""Only who may asks, nobody asks too much or too slowly, and what is logged says nothing of people."""

import datetime
import http.client
import ipaddress
import json
import os
import socket
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from kerasft import predict
from kerasft.errors import UserError
from kerasft.serving import Client, Credentials, ServingError
from kerasft.serving.server.access import Tls, Tokens
from kerasft.serving.server.requests import RequestLimits

PREDICT = "/v1/models/single_label:predict"
BODY = {"instances": ["a"]}
TOKEN = "s3cret-token"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def token_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"other-token\n\n{TOKEN}\n")
    return file


@pytest.fixture(scope="module")
def guarded(exported, start, token_file):
    """A server with tokens, narrow limits and a log of texts."""
    limits = {
        "body_bytes": 20_000,
        "header_bytes": 4096,
        "header_seconds": 1.0,
        "body_seconds": 1.0,
        "request": RequestLimits(rows=4, text_bytes=1000),
    }
    with start(exported("single_label"), token_file=token_file, log_texts=True, **limits) as running:
        yield running


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer s3cret-toke", f"Bearer {TOKEN}x"]
)
def test_without_a_token_nothing_is_told(guarded, header):
    headers = {} if header is None else {"Authorization": header}
    for path in (PREDICT, "/", "/v1/models/single_label", "/monitoring/prometheus/metrics", "/monitoring/drift"):
        status, answer = guarded.rest(path, BODY if path == PREDICT else None, headers=headers)
        assert status == 401 and list(answer) == ["error"]


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", "Bearer other-token"])
def test_with_a_token_it_answers(guarded, header):
    assert guarded.rest(PREDICT, BODY, headers={"Authorization": header})[0] == 200


def test_probes_need_no_token(guarded):
    assert guarded.rest("/healthz/live")[0] == guarded.rest("/healthz/ready")[0] == 200
    with guarded.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status == 1


def clients(running, **credentials):
    secure = "s" if running.options.tls else ""
    for scheme, port in (("http", running.server.rest_port), ("grpc", running.server.grpc_port)):
        address = f"{scheme}{secure}://localhost:{port}"
        with Client(address, retries=0, timeout=60.0, credentials=Credentials(**credentials)) as client:
            yield client


def test_clients_with_and_without_the_token(guarded, token_file, tmp_path, capsys):
    for client in clients(guarded, token=TOKEN):
        assert client.predict("single_label", {"text": ["a"]})["label"].shape == (1,)
    for client in clients(guarded, token="wrong"):
        with pytest.raises(ServingError) as refused:
            client.predict("single_label", {"text": ["a"]})
        assert refused.value.code is StatusCode.UNAUTHENTICATED
    (tmp_path / "in.txt").write_text("goal\n")
    asked = [f"http://127.0.0.1:{guarded.server.rest_port}/v1/models/single_label", "--input", str(tmp_path / "in.txt")]
    assert predict.main(asked) == 2
    assert "UNAUTHENTICATED" in capsys.readouterr().err
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert predict.main([*asked, "--token-file", str(tmp_path / "token")]) == 0
    assert "label" in json.loads(capsys.readouterr().out)


def test_tokens_change_with_their_file(tmp_path):
    file = tmp_path / "tokens"
    file.write_text("one\n")
    tokens = Tokens(file)
    tokens.check("Bearer one")
    file.write_text("# made in May\n  # Bearer\nsecond\n")
    os.utime(file, ns=(1, 1))
    tokens.check(b"Bearer second")
    for gone in ("Bearer one", "Bearer ", "Bearer \udcff", "Bearer # made in May"):
        with pytest.raises(ServingError):
            tokens.check(gone)
    file.unlink()
    with pytest.raises(ServingError):
        tokens.check("Bearer second")  # closed, not open
    with pytest.raises(UserError, match="--token-file"):
        Tokens(file)
    file.write_text("\n \n# one\n")
    with pytest.raises(UserError, match="has no token"):
        Tokens(file)


@pytest.mark.parametrize(
    ("body", "expected", "status"),
    [
        ({"instances": ["a" * 1001]}, "a text of 1001 bytes; this server takes 1000", 400),
        ({"instances": ["\u00e9" * 501]}, "a text of 1002 bytes", 400),
        ({"instances": ["a"] * 5}, "5 rows; this server takes 4", 400),
        ({"instances": ["a" * 30_000]}, "the body is larger than the 20000 bytes", 413),
    ],
)
def test_sizes_are_limited(guarded, body, expected, status):
    got, answer = guarded.rest(PREDICT, body, headers=ALLOWED)
    assert got == status and expected in answer["error"]


def test_sizes_are_limited_by_grpc_too(guarded):
    credentials = Credentials(token=TOKEN)
    with Client(f"grpc://localhost:{guarded.server.grpc_port}", retries=0, credentials=credentials) as client:
        for texts, code in (
            (["a" * 1001], StatusCode.INVALID_ARGUMENT),
            (["a"] * 5, StatusCode.INVALID_ARGUMENT),
            (["a" * 30_000], StatusCode.RESOURCE_EXHAUSTED),  # gRPC's own word for a message that is too large
        ):
            with pytest.raises(ServingError) as refused:
                client.predict("single_label", {"text": texts})
            assert refused.value.code is code


def until_closed(connection, seconds=30.0):
    """What comes until the server closes; fails if it does not."""
    connection.settimeout(seconds)
    received = b""
    while part := connection.recv(4096):
        received += part
    return received


def test_a_head_that_is_too_large_or_too_slow_ends_the_connection(guarded):
    address = ("127.0.0.1", guarded.server.rest_port)
    with socket.create_connection(address) as large:
        large.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n")
        assert until_closed(large).startswith(b"HTTP/1.0 400 ")
    for sent in (b"", b"GET /healthz/live HTTP/1.1\r\nHost: a\r\n"):
        with socket.create_connection(address) as slow:
            slow.sendall(sent)
            assert until_closed(slow) == b""


def test_a_body_that_is_too_slow_is_refused(guarded):
    with socket.create_connection(("127.0.0.1", guarded.server.rest_port)) as slow:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n"
        slow.sendall(head.encode() + b'{"instances"')
        answer = until_closed(slow)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"did not come within 1 s" in answer


def test_texts_are_logged_masked(guarded):
    text = "write anna.b@example.co.uk or call +49 170 1234567, card 4111 1111 1111 1111"
    assert guarded.rest(PREDICT, {"instances": [text]}, headers=ALLOWED)[0] == 200
    example = {"signature_name": "classify", "examples": [{"text": text}]}
    assert guarded.rest("/v1/models/single_label:classify", example, headers=ALLOWED)[0] == 200
    told = [each["texts"] for each in guarded.told("asked")][-2:]
    assert told == [[{"text": "write [email] or call [phone], card [id]"}]] * 2
    assert TOKEN not in guarded.said.getvalue()


def certificates(folder):
    """An authority, a server and a client signed by it: PEM files."""
    now = datetime.datetime.now(datetime.timezone.utc)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])

    def make(name, key, is_authority):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        )
        alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # Python 3.13 asks for what RFC 5280 asks for.
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = builder.add_extension(signer, critical=False)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(own, critical=False)
        names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        usage = dict.fromkeys((*names, "encipher_only", "decipher_only"), False)
        usage |= {"digital_signature": True, "key_cert_sign": is_authority, "crl_sign": is_authority}
        made = builder.add_extension(x509.KeyUsage(**usage), critical=True).sign(authority_key, hashes.SHA256())
        (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.key").write_bytes(pem)

    make("authority", authority_key, True)
    for name in ("server", "client"):
        make(name, ec.generate_private_key(ec.SECP256R1()), False)
    return folder


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("pem"))


@pytest.fixture(scope="module")
def mutual(exported, start, pem):
    """A server that shows a certificate and asks for one."""
    tls = Tls(pem / "server.crt", pem / "server.key", pem / "authority.crt")
    with start(exported("single_label"), tls=tls, header_seconds=5.0) as running:
        yield running


def test_mutual_tls_on_both_ports(mutual, pem):
    known = {"ca": pem / "authority.crt", "certificate": pem / "client.crt", "key": pem / "client.key"}
    for client in clients(mutual, **known):
        assert client.predict("single_label", {"text": ["a"]})["label"].shape == (1,)
    for credentials in ({"ca": pem / "authority.crt"}, {**known, "ca": None}):
        for client in clients(mutual, **credentials):
            with pytest.raises(ServingError) as refused:
                client.predict("single_label", {"text": ["a"]})
            assert refused.value.code is StatusCode.UNAVAILABLE


def test_a_port_with_tls_answers_nothing_else(mutual):
    connection = http.client.HTTPConnection("127.0.0.1", mutual.server.rest_port, timeout=60)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request("GET", "/healthz/live")
        connection.getresponse()
    with grpc.insecure_channel(f"127.0.0.1:{mutual.server.grpc_port}") as channel:
        with pytest.raises(grpc.RpcError):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=20)


def test_old_tls_is_refused(mutual, pem):
    context = ssl.create_default_context(cafile=pem / "authority.crt")
    context.load_cert_chain(pem / "client.crt", pem / "client.key")
    assert Tls(pem / "server.crt", pem / "server.key").for_rest().minimum_version == ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", mutual.server.rest_port)) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            assert connection.version() in ("TLSv1.2", "TLSv1.3")


def test_files_that_are_no_certificates(tmp_path, pem):
    (tmp_path / "text.crt").write_text("no certificate")
    for tls in (
        Tls(tmp_path / "none.crt", pem / "server.key"),
        Tls(tmp_path / "text.crt", pem / "server.key"),
        Tls(pem / "client.crt", pem / "server.key"),  # not a pair
        Tls(pem / "server.crt", pem / "server.key", tmp_path / "text.crt"),
    ):
        with pytest.raises(UserError, match="--tls-cert, --tls-key, --client-ca: ") as told:
            tls.for_rest()
        assert "\n" not in str(told.value)


def test_a_server_that_others_reach_unprotected_says_so(exported, start):
    with start(exported("single_label"), host="0.0.0.0") as running:
        (told,) = running.told("unprotected")
    assert told["host"] == "0.0.0.0"


def test_requests_under_way_are_limited(exported, start):
    with start(exported("single_label"), requests=1, body_seconds=20.0) as running:
        with socket.create_connection(("127.0.0.1", running.server.rest_port)) as slow:
            slow.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n".encode())
            running.until(lambda: running.server.routes.callers.count)
            status, answer = running.rest(PREDICT, BODY)
            assert status == 503 and "overloaded" in answer["error"]
        running.until(lambda: not running.server.routes.callers.count)
        assert running.rest(PREDICT, BODY)[0] == 200
