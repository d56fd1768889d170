"""Stores for tests: moto's S3 server, Azurite, and a proxy before either that does what networks and stores do on bad days."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from azure.storage.blob import BlobServiceClient
from moto.server import ThreadedMotoServer

AZURITE = Path(__file__).parent / "azurite"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = base64.b64encode(b"a key of the tests and nothing else").decode()
ACCESS_KEY, SECRET = "AKIATESTTESTTESTTEST", "never shown 3f9a secret"
BUCKET = "recordings"
DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>'


@dataclass(slots=True)
class Fault:
    """What happens to a request for which ``when(method, path with query)`` is true, ``times`` times (-1: always).

    ``status``: this answer instead. ``cut_after``: the connection breaks after so many bytes of the body.
    ``delay_s``: it waits so long before it goes on. ``damage``: one byte of the body changes on its way. ``etag``: the answer's
    becomes this.
    """

    when: Callable[[str, str], bool]
    status: int = 0
    body: bytes = b""
    cut_after: int = -1
    delay_s: float = 0.0
    damage: bool = False
    etag: str = ""
    times: int = 1


@dataclass(slots=True)
class Proxy:
    """Forwards to ``upstream`` (host:port). ``seen`` holds (method, path with query, status) of each request."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    server: ThreadingHTTPServer | None = None
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        assert self.server is not None
        return int(self.server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str, part: str) -> int:
        """How many requests were answered well."""
        return sum(1 for seen, path, status in self.seen if seen == method and part in path and status < 300)

    def take(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times != 0 and fault.when(method, path):
                fault.times -= 1
                return fault
        return None


def uploads_part(method: str, path: str) -> bool:
    return method == "PUT" and ("partNumber=" in path or "comp=block&" in path)


@contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            return

        def answer(self) -> None:
            fault = proxy.take(self.command, self.path)
            length = int(self.headers.get("Content-Length") or 0)
            if fault is not None and fault.cut_after >= 0:
                self.rfile.read(min(length, fault.cut_after))
                proxy.seen.append((self.command, self.path, 0))
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            body = self.rfile.read(length)
            if fault is not None and fault.delay_s:
                if proxy.closing.wait(fault.delay_s):
                    self.close_connection = True
                    return
            if fault is not None and fault.status:
                self.give(fault.status, [("Content-Type", "application/xml")], fault.body)
                return
            if fault is not None and fault.damage:
                body = bytes([body[0] ^ 1]) + body[1:]
            connection = http.client.HTTPConnection(proxy.upstream, timeout=30)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
                connection.request(self.command, self.path, body, headers)
                found = connection.getresponse()
                data = found.read()
                kept = [(n, v) for n, v in found.getheaders() if n.lower() not in _HOP]
                if fault is not None and fault.etag:
                    kept = [(n, fault.etag if n.lower() == "etag" else v) for n, v in kept]
                if self.command == "HEAD":
                    kept.append(("Content-Length", found.getheader("Content-Length") or "0"))
                self.give(found.status, kept, data)
            finally:
                connection.close()

        def give(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            proxy.seen.append((self.command, self.path, status))
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if self.command != "HEAD" and status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed is what these tests are about."""

    proxy.server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join(10)


_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "server", "date"}


# -- S3 ----------------------------------------------------------------------------------------------------------


@contextmanager
def moto_s3() -> Iterator[str]:
    """Yields host:port of an S3 with the bucket ``BUCKET``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        s3_client(f"{host}:{port}").create_bucket(Bucket=BUCKET)
        yield f"{host}:{port}"
    finally:
        server.stop()


def s3_client(address: str) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=f"http://{address}",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )


def s3_config(url: str, **more: str) -> dict[str, str]:
    """A storage_config of type s3 at ``url``."""
    return {
        "type": "s3",
        "bucket": BUCKET,
        "access_key": ACCESS_KEY,
        "secret": SECRET,
        "endpoint_url": url,
        **more,
    }


# -- Azure -------------------------------------------------------------------------------------------------------


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Yields host:port of an Azure Blob store with the container ``BUCKET``."""
    script = AZURITE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not script.is_file():
        raise RuntimeError("Azurite is missing: run SIDEROOM_SETUP_TESTS=1 bash scripts/setup")
    local = Path(__file__).parents[1] / ".venv" / "bin" / "node"
    node = shutil.which("node") or str(local)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    options += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    process = subprocess.Popen(
        [node, str(script), *options],
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        address = f"127.0.0.1:{port}"
        with blob_service(address) as service:
            service.create_container(BUCKET)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)


def connection_string(address: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://{address}/{ACCOUNT};"
    )


def blob_service(address: str) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(connection_string(address))


def azure_config(address: str, **more: str) -> dict[str, str]:
    return {"type": "azure", "bucket": BUCKET, "access_key": connection_string(address), **more}
