"""A network of one's own, as companies have them: a proxy that leads out, and a certification authority."""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.client
import http.server
import ipaddress
import select
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


class Authority:
    """Issues certificates. `bundle` is what whoever trusts it has to have."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle = folder, folder / "ca.pem"
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Company")])
        builder = self._builder(self.name, self.key, 0)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.bundle.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, host: str, days_from_now: int = 0) -> Path:
        """A file with a key and a certificate of a day, which begins so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        with contextlib.suppress(ValueError):
            host = ipaddress.ip_address(host)
        names = [x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host)]
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(host))])
        builder = self._builder(name, key, days_from_now)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        file = self.folder / f"{host}{days_from_now:+}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return file

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        begin = datetime.datetime.now(datetime.UTC) + days * DAY - DAY / 2
        return x509.CertificateBuilder(
            self.name, name, key.public_key(), x509.random_serial_number(), begin, begin + DAY
        )


class Proxy(http.server.ThreadingHTTPServer):
    """Leads to one server, whatever host is asked for, and notes which; or refuses with `refuses`, a status.

    With a `login`, such as me:hush@, whoever does not give it is answered 407. `sent` counts the bytes that came back.
    """

    daemon_threads = True

    def __init__(self, port: int, refuses: int = 0, login: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Gate)
        self.port, self.refuses = port, refuses
        self.asked: list[str] = []
        self.sent = 0
        self.url = f"http://{login}127.0.0.1:{self.server_port}"
        self.key = f"Basic {base64.b64encode(login[:-1].encode()).decode()}" if login else None
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def beyond(self, host: str, port: int) -> tuple[str, int]:
        """Where a host that is asked for is."""
        return "127.0.0.1", self.port

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Gate(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def is_refused(self) -> bool:
        """Whether an answer was sent that says so."""
        if self.server.key and self.headers.get("Proxy-Authorization") != self.server.key:
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="company"')
            self.send_header("Content-Length", "0")
            # curl asks once without a password, to see which kinds of them there are.
            self.send_header("Connection", "close")
            self.end_headers()
            return True
        self.server.asked.append(self.path)
        if self.server.refuses:
            self.send_error(self.server.refuses)
        return bool(self.server.refuses)

    def do_GET(self) -> None:
        if self.is_refused():
            return
        asked = urlsplit(self.path)
        beyond = http.client.HTTPConnection(*self.server.beyond(asked.hostname, asked.port or 80), timeout=60)
        beyond.request("GET", self.path, headers={**self.headers, "Connection": "close"})
        answer = beyond.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.server.sent += len(content)
        beyond.close()
        return

    def do_CONNECT(self) -> None:
        if self.is_refused():
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection(self.server.beyond(host, int(port))) as beyond:
            self.send_response(200)
            self.end_headers()
            ways = {self.connection: beyond, beyond: self.connection}
            while ready := select.select(list(ways), [], [], 60)[0]:
                for side in ready:
                    data = side.recv(1 << 16)
                    if not data:
                        self.close_connection = True
                        return
                    self.server.sent += len(data) if side is beyond else 0
                    ways[side].sendall(data)
        return

    def log_message(self, format: str, *args: object) -> None:
        """What was asked for is noted by the proxy."""
