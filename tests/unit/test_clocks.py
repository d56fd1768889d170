"""Times of the media worker and of the recorder are compared by one clock, which goes on while the machine sleeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from media.tap import TapServer
from models import boottime
from recorder.clock import SteadyClock
from recorder.tap import Decoder, Message, Rtp, TapClient, encode_rtp

pytestmark = pytest.mark.unit
HOUR_US = 3600 * 1_000_000


def told(server: TapServer, **changed: Any) -> Message:
    body = {"op": "welcome", "boot": server.boot, "now_us": server.now_us(), "machine": boottime.boot_id()}
    return Message("welcome", {**body, "epoch_us": server._epoch_us, **changed})


def arrival(client: TapClient, server: TapServer) -> int:
    """When, by the recorder's clock, a packet came that came now by the worker's."""
    decoder: Decoder = client._decoder
    [frame] = decoder.feed(encode_rtp(1, 1, server.now_us(), b"x"))
    assert isinstance(frame, Rtp)
    return frame.arrival_us


def test_both_clocks_go_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert boottime.boot_id(), "this system names its runs"
    clock = SteadyClock(tmp_path)
    server = TapServer("secret", "w1")
    client = TapClient("127.0.0.1", 1, "secret", clock)
    client._learn(told(server))
    assert abs(arrival(client, server) - clock.now_us()) < 50_000
    real = time.clock_gettime_ns
    # Sleep: time since boot goes on, the monotonic clock of Linux stands still.
    monkeypatch.setattr(time, "clock_gettime_ns", lambda which: real(which) + HOUR_US * 1000)
    assert abs(arrival(client, server) - clock.now_us()) < 50_000


def test_a_worker_that_was_started_before_the_wall_clock_was_set_is_put_right_exactly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - HOUR_US * 1000 + 300_000_000)
    server = TapServer("secret", "w1")
    monkeypatch.setattr(time, "time_ns", real)
    clock = SteadyClock()
    client = TapClient("127.0.0.1", 1, "secret", clock)
    # The welcome was read late: what it says of now is old, and does not matter on one machine.
    client._learn(told(server, now_us=server.now_us() - 2_000_000))
    assert client._decoder.offset_us == clock.base_us - server._epoch_us
    assert abs(arrival(client, server) - clock.now_us()) < 50_000


def test_the_clock_of_another_machine_is_compared_again_and_again() -> None:
    clock = SteadyClock()
    server = TapServer("secret", "w1")
    client = TapClient("127.0.0.1", 1, "secret", clock)
    client._learn(told(server, machine="another", now_us=server.now_us() + HOUR_US))
    assert abs(client._decoder.offset_us + HOUR_US) < 500_000
    before = client._decoder.offset_us
    client._learn(Message("time", {"op": "time", "now_us": server.now_us() + HOUR_US + 200_000}))
    assert client._decoder.offset_us == before, "the way there took a moment longer"
    client._learn(Message("time", {"op": "time", "now_us": server.now_us() + 3 * HOUR_US}))
    assert abs(client._decoder.offset_us + 3 * HOUR_US) < 500_000, "it was set, or slept"
