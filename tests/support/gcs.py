"""Stands in for Google Cloud Storage, for TensorFlow's own client of it (gs://), as far as that asks.

TensorFlow goes to https://www.googleapis.com and https://storage.googleapis.com whatever one sets, but by the proxy
that `https_proxy` names and with the authorities in CURL_CA_BUNDLE: this is such a proxy, which answers for both names.
It is a process of its own: TensorFlow waits for some answers with Python's lock held.
JSON API: https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import socketserver
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_OBJECT = r"(/upload)?/storage/v1/b/([^/]+)(?:/o(?:/([^/]+)(/rewriteTo/b/[^/]+/o/([^/]+))?)?)?"
BUCKET = "bucket"
HOSTS = ("www.googleapis.com", "storage.googleapis.com")


@contextlib.contextmanager
def storage(folder: Path) -> Iterator[dict[str, str]]:
    """The environment by which TensorFlow comes to gs://bucket, which is empty; no other bucket is there.

    Args:
        folder: for the certificate.
    """
    certificate = _certificate(folder)
    command = [sys.executable, __file__, str(certificate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield {
                "https_proxy": f"http://127.0.0.1:{int(process.stdout.readline())}",
                "CURL_CA_BUNDLE": str(certificate),
                "GOOGLE_AUTH_TOKEN_FOR_TESTING": "anybody",
            }
        finally:
            process.kill()


def main(certificate: str) -> None:
    """Serves until it is killed."""
    handler = type("Handler", (_Handler,), {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "objects": {}})
    handler.tls.load_cert_chain(certificate)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tls: ssl.SSLContext
    objects: dict[str, bytes]

    def log_message(self, *words: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        assert self.path.removesuffix(":443") in HOSTS, self.path
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def _answer(self, status: int, body: object = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _any(self) -> None:
        body = self._body()
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.path.startswith(f"/{BUCKET}/"):  # of storage.googleapis.com
            return self._read(unquote(url.path.removeprefix(f"/{BUCKET}/")))
        if session := re.fullmatch(r"/upload/session/(.*)", url.path):
            return self._upload(unquote(session[1]), body)
        found = re.fullmatch(
            r"(/upload)?/storage/v1/b/([^/]+)(?:/o(?:/([^/]+)(/rewriteTo/b/[^/]+/o/([^/]+))?)?)?", url.path
        )
        assert found, f"{self.command} {self.path}"
        uploads, bucket, name, rewrite, target = found.groups()
        if bucket != BUCKET:
            return self._answer(404)
        name = unquote(name or query.get("name", ""))
        if uploads and query["uploadType"] == "media":
            self.objects.setdefault(name, body)  # a folder's mark, only where there is none
            return self._answer(200, {"name": name})
        if uploads:
            return self._answer(200, Location=f"https://{HOSTS[0]}/upload/session/{quote(name, safe='')}")
        if rewrite:
            self.objects[unquote(target)] = self.objects[name]
            return self._answer(200, {"done": True})
        if not name and not url.path.endswith("/o"):
            return self._answer(200, {"name": bucket, "location": "EU"})
        if not name:
            return self._list(query)
        if name not in self.objects:
            return self._answer(404)
        if self.command == "DELETE":
            del self.objects[name]
            return self._answer(204)
        size = str(len(self.objects[name]))
        return self._answer(200, {"size": size, "generation": "1", "updated": "2026-01-01T00:00:00.000Z"})

    do_GET = do_PUT = do_POST = do_DELETE = _any

    def _read(self, name: str) -> None:
        if name not in self.objects:
            return self._answer(404)
        content = self.objects[name]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            return self._answer(200, content)
        first, last = int(wanted[1]), int(wanted[2])
        return self._answer(206 if first < len(content) else 416, content[first : last + 1])

    def _upload(self, name: str, body: bytes) -> None:
        if not self.headers["Content-Range"].startswith("bytes */"):  # that asks whether all is there
            self.objects[name] = body  # TensorFlow sends what it has in one piece
        return self._answer(200, {"name": name})

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        items, folders = [], set()
        for name in sorted(self.objects):
            if not name.startswith(prefix):
                continue
            head, cut, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if cut:
                folders.add(f"{prefix}{head}{cut}")
            else:
                items.append({"name": name})
        most = int(query.get("maxResults", 1000))
        assert len(items) <= 1000, "pages are not imitated"
        self._answer(200, {"items": items[:most], "prefixes": sorted(folders)})


def _certificate(folder: Path) -> Path:
    """Certificate and key in one file; it is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "storage.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


if __name__ == "__main__":
    main(sys.argv[1])
