"""Are the ports free that we are about to use? Gives one clear line for each that is not."""

from __future__ import annotations

import socket


def taken(tcp: dict[str, tuple[str, int]], udp: dict[str, tuple[str, int]]) -> list[str]:
    """One sentence for each port that cannot be bound; keys say what it is for and which setting moves it."""
    problems = []
    for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
        for what, (host, port) in ports.items():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    problems.append(f"Port {port} for {what} cannot be used ({error.strerror}).")
    return problems


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that is free on loopback now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
