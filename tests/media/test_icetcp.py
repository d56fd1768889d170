"""The media port's TCP twin: frames reach their endpoint and answers come back; strangers cost little and cannot stay."""

from __future__ import annotations

import asyncio
import os
import struct

import pytest
from aioice import stun

from media import icetcp
from media.icelite import IceEndpoint, IceSocket

pytestmark = pytest.mark.media


class User:
    """Takes an endpoint's datagrams."""

    def __init__(self) -> None:
        self.dtls: list[bytes] = []

    def handle_media(self, size: int) -> bool:
        return False

    def handle_dtls(self, data: bytes) -> None:
        self.dtls.append(data)


async def _listening() -> tuple[IceSocket, IceEndpoint, User]:
    ice, user = IceSocket("127.0.0.1", 0), User()
    ice.start()
    await ice.listen_tcp()
    assert ice.has_tcp
    return ice, ice.endpoint(user), user


def _request(endpoint: IceEndpoint) -> bytes:
    attributes = {
        "USERNAME": f"{endpoint.ufrag}:far",
        "PRIORITY": 1,
        "ICE-CONTROLLING": 7,
        "USE-CANDIDATE": None,
    }
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, os.urandom(12), attributes)
    message.add_message_integrity(endpoint.password.encode())
    return bytes(message)


def _frame(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


async def _read(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), 5))
    return await asyncio.wait_for(reader.readexactly(size), 5)


async def test_frames_come_and_go_also_in_pieces() -> None:
    ice, endpoint, user = await _listening()
    reader, writer = await asyncio.open_connection("127.0.0.1", ice.port)
    text = _frame(_request(endpoint)) + _frame(b"\x16dtls one") + _frame(b"\x16dtls two")
    for at in range(0, len(text), 7):
        writer.write(text[at : at + 7])
        await writer.drain()
        await asyncio.sleep(0)
    answer = stun.parse_message(await _read(reader))
    assert answer.message_class is stun.Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"][1] == writer.get_extra_info("sockname")[1]
    for _ in range(100):
        if len(user.dtls) == 2:
            break
        await asyncio.sleep(0.02)
    assert user.dtls == [b"\x16dtls one", b"\x16dtls two"]
    endpoint.send(b"\x17answer")
    assert await _read(reader) == b"\x17answer"
    # The connection ends: nothing is sent to it any more, and nobody is left behind.
    writer.close()
    for _ in range(100):
        if endpoint.address is None:
            break
        await asyncio.sleep(0.02)
    assert endpoint.address is None and endpoint.addresses == []
    ice.close()


async def test_udp_takes_over_when_the_tcp_connection_ends() -> None:
    ice, endpoint, _ = await _listening()
    now = asyncio.get_running_loop().time()
    assert ice.answer(_request(endpoint), ("127.0.0.1", 40404), now) is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", ice.port)
    writer.write(_frame(_request(endpoint)))
    await _read(reader)
    assert isinstance(endpoint.address, icetcp.TcpAddress)
    writer.close()
    for _ in range(100):
        if not isinstance(endpoint.address, icetcp.TcpAddress):
            break
        await asyncio.sleep(0.02)
    assert endpoint.address == ("127.0.0.1", 40404)
    ice.close()


@pytest.mark.parametrize("text", [b"\x00\x00", b"GET / HTTP/1.1\r\n", b"\xff\xff" + bytes(100)])
async def test_what_is_no_frame_ends_the_connection(text: bytes) -> None:
    ice, _, _ = await _listening()
    reader, writer = await asyncio.open_connection("127.0.0.1", ice.port)
    writer.write(text)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()
    ice.close()


async def test_who_knows_no_password_is_put_out_and_no_more_than_a_number_come_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(icetcp, "PROOF_S", 0.2)
    monkeypatch.setattr(icetcp, "MAX_LINKS", 2)
    ice, _, user = await _listening()
    ends = [await asyncio.open_connection("127.0.0.1", ice.port) for _ in range(3)]
    for reader, writer in ends:
        writer.write(_frame(b"\x16forged"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
    assert user.dtls == []
    # Their places are free again.
    reader, writer = await asyncio.open_connection("127.0.0.1", ice.port)
    writer.close()
    ice.close()


async def test_a_connection_that_takes_nothing_loses_whole_frames_and_costs_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(icetcp, "QUEUE_BYTES", 16 * 1024)
    ice, endpoint, _ = await _listening()
    reader, writer = await asyncio.open_connection("127.0.0.1", ice.port, limit=1024)
    writer.write(_frame(_request(endpoint)))
    await _read(reader)
    for number in range(20_000):
        endpoint.send(struct.pack("!BL", 0x80, number) + bytes(1000))
        if number % 500 == 0:
            await asyncio.sleep(0)
    assert ice.dropped > 1000
    seen = [await _read(reader) for _ in range(50)]
    assert all(len(frame) == 1005 and frame[0] == 0x80 for frame in seen)
    writer.close()
    ice.close()
