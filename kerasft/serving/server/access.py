"""Who may ask: TLS, certificates of clients, bearer tokens."""

from __future__ import annotations

import hmac
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from kerasft.errors import UserError
from kerasft.serving.status import ServingError

SCHEME = "bearer "


@dataclass(frozen=True)
class Tls:
    """PEM files: the server's certificate (with those between it and its authority) and key; `client_ca`, the authority
    that signed the clients' certificates, makes it mutual."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def for_rest(self) -> ssl.SSLContext:
        """Raises UserError where a file is not what it should be."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ssl.SSLError) as error:  # an SSLError is an OSError with another text
            files = ", ".join(str(file) for file in (self.certificate, self.key, self.client_ca) if file)
            raise UserError(f"--tls-cert, --tls-key, --client-ca: {files}: {error.strerror or error}") from error
        return context

    def for_grpc(self) -> grpc.ServerCredentials:
        """Call `for_rest` first: gRPC itself finds a bad file only when a client comes."""
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        ca = self.client_ca.read_bytes() if self.client_ca else None
        return grpc.ssl_server_credentials([pair], ca, require_client_auth=ca is not None)


class Tokens:
    """The bearer tokens of a file, one a line; a line that starts with `#` is a comment.

    A change of the file holds from the next request on.

    Args:
        file: that only the server should be able to read.

    Raises:
        UserError: it cannot be read, or has no token.
    """

    def __init__(self, file: Path):
        self._file = file
        self._file_state: tuple[int, int] | None = None
        self._tokens: list[bytes] = []
        try:
            self._read()
        except OSError as error:
            raise UserError(f"--token-file: {file}: {error.strerror}") from error
        if not self._tokens:
            raise UserError(f"--token-file: {file}: has no token; write one a line")

    def _read(self) -> None:
        status = self._file.stat()
        state = (status.st_mtime_ns, status.st_size)
        if state != self._file_state:
            lines = [line.strip() for line in self._file.read_bytes().splitlines()]
            self._tokens = [line for line in lines if line and not line.startswith(b"#")]
            self._file_state = state

    def check(self, header: str | bytes | None) -> None:
        """An Authorization header. Raises ServingError (UNAUTHENTICATED, 401) unless it has one of the tokens."""
        try:
            self._read()
        except OSError:  # a file that is gone closes the server; it does not open it
            self._tokens, self._file_state = [], None
        credentials = header.encode("utf-8", "replace") if isinstance(header, str) else header or b""
        scheme, token = credentials[: len(SCHEME)].lower(), credentials[len(SCHEME) :].strip()
        # All are compared, each in constant time: what is wrong takes as long wherever it differs.
        matches = [hmac.compare_digest(token, valid) for valid in self._tokens]
        if scheme != SCHEME.encode() or not any(matches):
            raise ServingError(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed that this server knows")
