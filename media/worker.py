"""The media worker process: ``python -m media.worker``. Prints one JSON line with its addresses once it serves.

Settings come from the command line, the secret from ``--secret-file`` or the environment (``SIDEROOM_MEDIA_SECRET``;
``SIDEROOM_TAP_SECRET`` where the recorder is to have another one). Ends on SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from media.control import ControlServer
from media.icelite import BUFFER_BYTES, IceSocket
from media.sfu import Sfu
from media.tap import KEEP, Keep, TapServer
from media.wire import advertised, parse_address
from models.collector import calm_collector

log = logging.getLogger("sideroom.media.worker")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs to know. Ports may be 0 (any free one); ``advertise_ip`` is what browsers are told, several with commas."""

    secret: str
    """Proves to the worker that it is the server who gives orders."""
    tap_secret: str = ""
    """Proves that it is the recorder who listens; empty: the same as ``secret``."""
    control: str = "127.0.0.1:0"
    udp_host: str = "127.0.0.1"
    udp_port: int = 0
    advertise_ip: str = ""
    tap_host: str = "127.0.0.1"
    tap_port: int = 0
    name: str = "w1"
    keep: Keep = KEEP
    """How much is kept for a recorder that is away."""


class Worker:
    """Everything one worker process runs; also used in-process by tests."""

    def __init__(self, settings: WorkerSettings) -> None:
        if len(settings.secret) < 16:
            raise ValueError("The media worker's secret must have 16 or more characters.")
        self.settings = settings
        self.control = ControlServer(settings.secret)
        self.tap = TapServer(settings.tap_secret or settings.secret, settings.name, settings.keep)
        self.sfu: Sfu | None = None
        self.control_address = ""
        self.tap_port = 0
        self.udp_port = 0

    async def start(self) -> None:
        """Bind everything. Raises OSError when a port is taken, ValueError for an unusable address."""
        settings = self.settings
        ips = advertised(settings.advertise_ip or settings.udp_host)
        ice = IceSocket(settings.udp_host, settings.udp_port)
        self.udp_port = ice.port
        await ice.listen_tcp()
        self.sfu = Sfu(ice, ips, self.control.emit)
        self.control.sfu = self.sfu
        self.sfu.tap = self.tap
        self.tap.sfu = self.sfu
        self.sfu.start()
        try:
            self.tap_port = await self.tap.start(settings.tap_host, settings.tap_port)
            self.control_address = await self.control.start(parse_address(settings.control))
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        await self.control.stop()
        await self.tap.stop()
        if self.sfu is not None:
            await self.sfu.stop()

    def addresses(self) -> dict[str, object]:
        return {"control": self.control_address, "udp_port": self.udp_port, "tap_port": self.tap_port}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m media.worker", description="Sideroom's media worker (SFU)."
    )
    parser.add_argument(
        "--control", default="127.0.0.1:0", help="host:port or unix:/path for the server's orders"
    )
    parser.add_argument("--secret-file", type=Path, help="file with the secret that server and recorder know")
    parser.add_argument(
        "--secret-env", default="SIDEROOM_MEDIA_SECRET", help="else: environment variable with it"
    )
    parser.add_argument(
        "--tap-secret-env",
        default="SIDEROOM_TAP_SECRET",
        help="environment variable with the tap's own secret",
    )
    parser.add_argument("--udp-host", default="127.0.0.1", help="address the UDP port is bound to")
    parser.add_argument("--udp-port", type=int, default=0, help="the one UDP port (0: any)")
    parser.add_argument(
        "--advertise-ip",
        default="",
        help="IP addresses browsers are told, comma separated (default: --udp-host)",
    )
    parser.add_argument("--tap-host", default="127.0.0.1", help="address of the recorder's tap")
    parser.add_argument("--tap-port", type=int, default=0, help="TCP port of the recorder's tap (0: any)")
    parser.add_argument("--tap-keep-s", type=int, default=60, help="seconds kept for a recorder that is away")
    parser.add_argument("--tap-keep-mb", type=int, default=64, help="MiB of one room kept at most")
    parser.add_argument(
        "--tap-keep-total-mb", type=int, default=768, help="MiB of all rooms together kept at most"
    )
    parser.add_argument("--name", default="w1", help="name of this worker")
    parser.add_argument("--log-level", default=os.environ.get("SIDEROOM_LOG_LEVEL", "INFO"))
    return parser


async def serve(settings: WorkerSettings) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises OSError or ValueError when it cannot start."""
    worker = Worker(settings)
    await worker.start()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    print(json.dumps(worker.addresses()), flush=True)
    log.info("worker.started udp_port=%d tap_port=%d", worker.udp_port, worker.tap_port)
    if worker.sfu is not None and worker.sfu.ice.receive_buffer < BUFFER_BYTES:
        log.warning(
            "worker.small_buffer bytes=%d wanted=%d (raise net.core.rmem_max, see docs/operation.md)",
            worker.sfu.ice.receive_buffer,
            BUFFER_BYTES,
        )
    calm_collector()
    await stopped.wait()
    await worker.stop()
    log.info("worker.stopped")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        if options.secret_file is not None:
            secret = options.secret_file.read_text(encoding="utf-8").strip()
        else:
            secret = os.environ.get(options.secret_env, "")
        asyncio.run(
            serve(
                WorkerSettings(
                    secret=secret,
                    tap_secret=os.environ.get(options.tap_secret_env, ""),
                    control=options.control,
                    udp_host=options.udp_host,
                    udp_port=options.udp_port,
                    advertise_ip=options.advertise_ip,
                    tap_host=options.tap_host,
                    tap_port=options.tap_port,
                    name=options.name,
                    keep=Keep(options.tap_keep_mb << 20, options.tap_keep_total_mb << 20, options.tap_keep_s),
                )
            )
        )
    except (OSError, ValueError) as error:
        print(f"media worker: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
