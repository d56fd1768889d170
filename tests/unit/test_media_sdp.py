"""Session descriptions: what is understood, what is refused, what we write."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.rtp import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI
from media.sdp import (
    MAX_SDP,
    OutLine,
    Transport,
    answers,
    check_publish,
    choose_codec,
    codecs_of,
    parse,
    write_answer,
    write_offer,
)
from models.values import MediaSource
from rooms.ports import MediaError

pytestmark = pytest.mark.unit
FINGERPRINT = ":".join(["AB"] * 32)
OURS = Transport("ours1234", "p" * 24, FINGERPRINT, ("192.0.2.7", "2001:db8::7"), 40000)
HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
SHARED = (
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    f"a=fingerprint:sha-256 {FINGERPRINT}\r\na=setup:actpass\r\na=rtcp-mux\r\n"
)
AUDIO = (
    f"m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n{SHARED}a=mid:0\r\na=sendonly\r\na=extmap:1 {AUDIO_LEVEL_URI}\r\n"
    f"a=extmap:2/sendonly {ABS_SEND_TIME_URI}\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\na=ssrc:4001 cname:x\r\na=ssrc:4001 msid:a b\r\n"
)
VIDEO = (
    f"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102\r\n{SHARED}a=mid:1\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\n"
    "a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
    "a=ssrc-group:FID 5001 5002\r\na=ssrc:5001 cname:x\r\na=ssrc:5002 cname:x\r\n"
)
DATA = f"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{SHARED}a=mid:2\r\na=sctp-port:5000\r\n"
OFFER = HEAD + AUDIO + VIDEO
SOURCES = {"0": MediaSource.MIC, "1": MediaSource.CAMERA}


def refused(text: str, sources: dict[str, MediaSource] | None = None) -> str:
    with pytest.raises(MediaError) as error:
        check_publish(parse(text), SOURCES if sources is None else sources)
    assert error.value.code == "bad_sdp"
    return error.value.message


def test_offer_is_understood() -> None:
    offer = parse(OFFER)
    check_publish(offer, SOURCES)
    assert (offer.ufrag, offer.setup, offer.fingerprints) == ("abcd", "actpass", [("sha-256", FINGERPRINT)])
    audio, video = offer.media
    assert audio.ssrcs == [4001] and audio.extensions[ABS_SEND_TIME_URI] == 2 and audio.sends
    assert video.ssrcs == [5001, 5002]
    chosen = choose_codec(video)
    assert chosen is not None and (chosen.name, chosen.payload_type) == ("vp8", 96)


def test_h264_is_taken_where_there_is_no_vp8() -> None:
    offer = parse(OFFER.replace("VP8", "AV1"))
    chosen = choose_codec(offer.media[1])
    assert chosen is not None and (chosen.name, chosen.payload_type) == ("h264", 102)
    assert "a=fmtp:102" in write_answer(OURS, offer, SOURCES, session_id=1, version=1, active=False)


def test_h264_of_another_profile_is_better_than_none() -> None:
    offer = parse(OFFER.replace("VP8", "AV1").replace("42e01f", "640c1f"))
    chosen = choose_codec(offer.media[1])
    assert chosen is not None and chosen.payload_type == 102


def test_sound_is_taken_where_the_picture_has_no_codec_of_ours() -> None:
    for other in (
        (("VP8", "AV1"), ("H264", "VP9")),
        (("VP8", "AV1"), ("packetization-mode=1", "packetization-mode=0")),
    ):
        text = OFFER
        for before, after in other:
            text = text.replace(before, after)
        offer = parse(text)
        check_publish(offer, SOURCES)
        answer = parse(write_answer(OURS, offer, SOURCES, session_id=1, version=1, active=False))
        assert [(line.kind, line.is_rejected) for line in answer.media] == [("audio", False), ("video", True)]
        assert answer.media[0].codecs[0].name == "opus"


def test_lines_are_fed_what_all_of_them_take() -> None:
    fewer = VIDEO.replace("96 97 102", "96 97").replace("a=mid:1", "a=mid:2")
    rejected = VIDEO.replace("m=video 9", "m=video 0").replace("VP8", "AV1").replace("a=mid:1", "a=mid:3")
    assert {"vp8", "h264"} <= codecs_of(parse(OFFER), "video")
    answer = parse(OFFER + fewer + rejected)
    assert "vp8" in codecs_of(answer, "video") and "h264" not in codecs_of(answer, "video")
    assert codecs_of(parse(HEAD + VIDEO), "audio") == frozenset()


@pytest.mark.parametrize("unusable", ["audio", "video"])
def test_an_answers_bundle_names_only_what_is_taken(unusable: str) -> None:
    """A browser refuses an answer whose BUNDLE names a rejected line; the first line’s rejection then silences all."""
    offer = (
        OFFER.replace("opus/48000/2", "PCMU/8000") if unusable == "audio" else OFFER.replace("VP8/", "AV1/")
    )
    offer = offer.replace("H264/", "H265/")
    answer = write_answer(OURS, parse(offer), SOURCES, session_id=1, version=1, active=False)
    rejected, kept = ("0", "1") if unusable == "audio" else ("1", "0")
    if unusable == "audio":
        answer = write_answer(
            OURS, parse(offer.replace("AV1/", "VP8/")), SOURCES, session_id=1, version=1, active=False
        )
    assert f"a=group:BUNDLE {kept}\r\n" in answer
    assert f"m={unusable} 0 " in answer and f"a=mid:{rejected}" in answer
    read = parse(answer)
    assert [line.is_rejected for line in read.media] == [line.mid == rejected for line in read.media]


def test_a_rejected_line_without_mid_refuses_nothing() -> None:
    bare = "m=video 0 UDP/TLS/RTP/SAVPF 120\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n"
    offer = parse(HEAD + AUDIO + bare + bare)
    check_publish(offer, {"0": MediaSource.MIC})
    answer = write_answer(OURS, offer, {"0": MediaSource.MIC}, session_id=1, version=1, active=False)
    assert "a=group:BUNDLE 0\r\n" in answer and "a=mid:\r\n" not in answer
    assert [line.is_rejected for line in parse(answer).media] == [False, True, True]
    assert "own mid" in refused(HEAD + AUDIO + VIDEO.replace("a=mid:1\r\n", ""))
    # The same in a browser's answer to our offer.
    assert answers(offer, ["0", "1", "2"])
    assert not answers(offer, ["0", "1"]) and not answers(offer, ["1", "0", "2"])


def test_a_line_that_is_only_for_the_bundle_is_not_a_rejected_one() -> None:
    """Firefox offers all lines but the first with port 0 and ``bundle-only`` (RFC 8843 §6)."""
    firefox = VIDEO.replace("m=video 9", "m=video 0").replace("a=mid:1", "a=bundle-only\r\na=mid:1")
    offer = parse(HEAD + AUDIO + firefox)
    check_publish(offer, SOURCES)
    answer = write_answer(OURS, offer, SOURCES, session_id=1, version=1, active=False)
    assert f"m=video {OURS.port} " in answer and "a=group:BUNDLE 0 1" in answer
    rejected = parse(HEAD + AUDIO + VIDEO.replace("m=video 9", "m=video 0"))
    assert "m=video 0 " in write_answer(OURS, rejected, SOURCES, session_id=1, version=1, active=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a session description"),
        ("hello", "not a session description"),
        ('{"type": "offer"}', "not a session description"),
        ("v=0\r\n", "no media lines"),
        (HEAD, "no media lines"),
        (OFFER + "nonsense\r\n", "malformed line"),
        (OFFER.replace("m=video 9", "m=video nine"), "malformed media line"),
        (OFFER.replace("a=mid:1\r\n", ""), "own mid"),
        (OFFER.replace("a=mid:1", "a=mid:0"), "own mid"),
        (OFFER.replace("a=mid:1", "a=mid:" + "x" * 40), "malformed mid"),
        (OFFER.replace("a=ice-ufrag:abcd\r\n", ""), "ICE credentials"),
        (OFFER.replace(FINGERPRINT, "AB:CD"), "fingerprint"),
        (OFFER.replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (OFFER.replace("actpass", "whatever"), "DTLS role"),
        (HEAD + AUDIO + VIDEO.replace("abcd", "other"), "bundled"),
        (OFFER.replace("opus", "pcmu").replace("VP8", "AV1").replace("H264", "VP9"), "neither Opus"),
        (OFFER + "a=x:" + "y" * 5000 + "\r\n", "malformed line"),
        ("v=0\r\n" + "a=b\r\n" * MAX_SDP, "too long"),
        (HEAD + "".join(AUDIO.replace("a=mid:0", f"a=mid:{n}") for n in range(70)), "too many"),
        (HEAD + "".join(AUDIO.replace("a=mid:0", f"a=mid:{n}") for n in range(9)), "too many"),
    ],
)
def test_what_is_wrong_is_named(text: str, reason: str) -> None:
    assert reason in refused(text)


def test_sources_must_fit_the_lines() -> None:
    assert "no media line" in refused(OFFER, {"7": MediaSource.MIC})
    assert "cannot carry" in refused(OFFER, {"0": MediaSource.CAMERA})
    assert "once" in refused(OFFER, {"0": MediaSource.MIC, "1": MediaSource.MIC})


def test_answer_takes_named_lines_and_rejects_others() -> None:
    offer = parse(OFFER + DATA)
    answer = write_answer(OURS, offer, {"1": MediaSource.CAMERA}, session_id=5, version=1, active=False)
    parsed = SessionDescription.parse(answer)
    assert [(m.kind, m.port != 0) for m in parsed.media] == [
        ("audio", False),
        ("video", True),
        ("application", False),
    ]
    assert parsed.group[0].items == ["1"]
    video = parsed.media[1]
    assert (video.direction, video.rtp.muxId, video.rtcp_mux) == ("recvonly", "1", True)
    assert [c.mimeType for c in video.rtp.codecs] == ["video/VP8"]
    assert video.ice.iceLite and video.dtls is not None and video.dtls.role == "server"
    feedback = {(f.type, f.parameter) for f in video.rtp.codecs[0].rtcpFeedback}
    assert {("nack", None), ("nack", "pli"), ("goog-remb", None)} <= feedback
    assert [(c.ip, c.port) for c in video.ice_candidates] == [("192.0.2.7", 40000), ("2001:db8::7", 40000)]
    assert video.ice_candidates[0].priority > video.ice_candidates[1].priority


def test_turned_pictures_must_be_turned_by_who_sends_them() -> None:
    # Whoever finds this extension taken sends the camera's picture as it lies and only says how the phone is held.
    turned = OFFER.replace("a=rtpmap:96 VP8", "a=extmap:4 urn:3gpp:video-orientation\r\na=rtpmap:96 VP8")
    offer = parse(turned)
    assert offer.media[1].extensions == {"urn:3gpp:video-orientation": 4}
    assert "orientation" not in write_answer(OURS, offer, SOURCES, session_id=1, version=1, active=False)


def test_extension_numbers_are_the_browsers() -> None:
    answer = write_answer(OURS, parse(OFFER), SOURCES, session_id=5, version=1, active=False)
    assert f"a=extmap:1 {AUDIO_LEVEL_URI}" in answer and f"a=extmap:2 {ABS_SEND_TIME_URI}" in answer


def test_offer_can_be_read_by_us_and_by_aiortc() -> None:
    outs = [OutLine("0", "audio", 11, "s0"), OutLine("1", "video", 12, "s0"), OutLine("2", "audio", 13, "s1")]
    text = write_offer(OURS, outs, session_id=5, version=1, cname="c")
    assert text == write_offer(OURS, outs, session_id=5, version=1, cname="c")
    ours = parse(text)
    assert [line.mid for line in ours.media] == ["0", "1", "2"]
    assert [line.ssrcs for line in ours.media] == [[11], [12], [13]]
    theirs = SessionDescription.parse(text)
    assert [m.direction for m in theirs.media] == ["sendonly"] * 3
    assert [c.mimeType for c in theirs.media[1].rtp.codecs] == ["video/VP8", "video/H264"]
    assert theirs.media[0].dtls is not None and theirs.media[0].dtls.role == "auto"


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_descriptions_are_refused_or_understood_but_nothing_else(data: st.DataObject) -> None:
    lines = OFFER.split("\r\n")
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        lines[index] = data.draw(
            st.one_of(st.just(""), st.text(max_size=30), st.just(lines[index][: len(lines[index]) // 2]))
        )
    try:
        offer = parse("\r\n".join(lines))
        check_publish(offer, SOURCES)
        write_answer(OURS, offer, SOURCES, session_id=1, version=1, active=False)
    except MediaError as error:
        assert error.code == "bad_sdp"
