"""Who may ask: TLS, certificates of clients, bearer tokens."""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health

from kerasft.errors import UserError
from kerasft.serving.status import ServingError

SCHEME = "bearer "
HEALTH = f"/{health.SERVICE_NAME}/"


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
    """The bearer tokens of a file, one a line; a change of the file holds from the next request on.

    Args:
        file: that only the server should be able to read.

    Raises:
        UserError: it cannot be read, or has no token.
    """

    def __init__(self, file: Path):
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._tokens: list[bytes] = []
        try:
            self._read()
        except OSError as error:
            raise UserError(f"--token-file: {file}: {error.strerror}") from error
        if not self._tokens:
            raise UserError(f"--token-file: {file}: has no token; write one a line")

    def _read(self) -> None:
        status = self._file.stat()
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._tokens = [line.strip() for line in self._file.read_bytes().splitlines() if line.strip()]
            self._seen = seen

    def check(self, header: str | bytes | None) -> None:
        """An Authorization header. Raises ServingError (UNAUTHENTICATED, 401) unless it has one of the tokens."""
        try:
            self._read()
        except OSError:  # a file that is gone closes the server; it does not open it
            self._tokens, self._seen = [], None
        given = header.encode("utf-8", "replace") if isinstance(header, str) else header or b""
        scheme, token = given[: len(SCHEME)].lower(), given[len(SCHEME) :].strip()
        # All are compared, each in constant time: what is wrong takes as long wherever it differs.
        matches = [hmac.compare_digest(token, known) for known in self._tokens]
        if scheme != SCHEME.encode() or not any(matches):
            raise ServingError(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed that this server knows")


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Lets through what has a token; health may be asked without one, as probes do. Args: check, of Tokens."""

    def __init__(self, check: Callable[[str | bytes | None], None]):
        self._check = check

    async def intercept_service(self, continuation, details):
        if details.method.startswith(HEALTH):
            return await continuation(details)
        try:
            self._check(dict(details.invocation_metadata).get("authorization"))
        except ServingError as error:
            return _refusing(error)
        return await continuation(details)


def _refusing(error: ServingError) -> grpc.RpcMethodHandler:
    async def refuse(request, context):
        await context.abort(error.code, error.message)

    return grpc.unary_unary_rpc_method_handler(refuse)
