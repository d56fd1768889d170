"""What people type to the bot: documented examples, quotes, mentions, rubbish."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.grammar import BadUsage, Typed, parse
from bot.registry import ALIASES, ROOT, VERBS

pytestmark = pytest.mark.unit

COMMANDS = (ROOT, *ALIASES)
WORDS = st.one_of(
    st.sampled_from(
        [
            *(verb.name for verb in VERBS if verb.name),
            *ALIASES.values(),
            *(
                "for",
                "15m",
                "90s",
                "1h",
                "4",
                "²",
                "٣",
                "-1",
                "99999999",
                "record",
                "all",
                "main",
                "room",
                "keep",
            ),
            *("<@U0BOB|bob>", "<#C1|x>", "<!channel>", "“", "”", '"', "'", "1,3:", ":", "#1", "@bob", "\x00"),
        ]
    ),
    st.text(max_size=12),
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=7).map(" ".join))
def test_no_text_raises_anything_but_bad_usage(command: str, text: str) -> None:
    try:
        typed = parse(command, text)
    except BadUsage as usage:
        assert str(usage)
        assert "<" not in str(usage), "what was typed must not come back as a mention"
    else:
        assert typed.verb in VERBS
        assert typed.number is None or 0 <= typed.number <= 9999


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_a_broadcast_keeps_its_words(text: str) -> None:
    try:
        typed = parse("/broadcast", "all: " + text)
    except BadUsage:
        pytest.fail("any text can be sent")
    assert typed.text.startswith("all:")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.example], ids=lambda verb: verb.full)
def test_documented_examples_are_understood(verb: object) -> None:
    known = next(v for v in VERBS if v is verb)
    example = known.example.replace("@bob", "<@U0BOB|bob>")
    assert parse(ROOT, f"{known.group} {example}".strip()).verb is known
    if known.group:
        assert parse(f"/{known.group}", example).verb is known


def test_start_with_everything() -> None:
    typed = parse("/breakout", "START 4 rooms for 15m, auto record")
    assert (typed.number, typed.seconds, typed.words) == (4, 900, frozenset({"auto", "record"}))
    assert not typed.is_bare


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("15m", 900),
        ("90s", 90),
        ("1h", 3600),
        ("5", 300),
        ("2 hours", 7200),
        ("10min", 600),
        ("15 min, auto", 900),
        ("1h30", 5400),
        ("soon", None),
    ],
)
def test_durations(said: str, seconds: int | None) -> None:
    if seconds is None:
        with pytest.raises(BadUsage):
            parse("/breakout", f"start 4 for {said}")
    else:
        assert parse("/breakout", f"start 4 for {said}").seconds == seconds


@pytest.mark.parametrize(
    ("said", "seconds"), [("5m", 300), ("5 min", 300), ("30 seconds", 30), ("for 5m", 300), ("", 300)]
)
def test_all_that_was_said_counts_as_the_time(said: str, seconds: int) -> None:
    assert parse("/breakout", f"add {said}").seconds == seconds


@pytest.mark.parametrize("text", ["add 5m or so", "start 4 for 1 week"])
def test_nothing_that_was_said_is_dropped_in_silence(text: str) -> None:
    with pytest.raises(BadUsage):
        parse("/breakout", text)


@pytest.mark.parametrize(
    ("text", "rooms"),
    [
        ("10:15 is the end", ()),
        ("1:30 left", ()),
        ("3: 45 seconds left", (3,)),
        ("2:go", ()),
        ("1:1 feedback starts now", ()),
    ],
)
def test_a_time_is_no_room(text: str, rooms: tuple[int, ...]) -> None:
    typed = parse("/broadcast", text)
    assert typed.rooms == rooms
    assert typed.text == (text if not rooms else text.partition(":")[2].strip())


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Q&amp;A at 3 &lt; 4", "Q&A at 3 < 4"),
        ("Read <https://x.org/a?b=1&amp;c=2>", "Read https://x.org/a?b=1&c=2"),
        ("Read <https://x.org|this>", "Read this (https://x.org)"),
        ("See <http://x.org|x.org>", "See http://x.org"),
        ("Ask <@U0BOB|bob> in <#C1|bio101> or <#C2|>", "Ask @bob in #bio101 or #C2"),
        ("<!channel> come back by <!date^1^{time}|10:15>", "@channel come back by 10:15"),
        ("mail <mailto:a@x.org|a@x.org>", "mail a@x.org"),
        ("&amp;lt; stays", "&lt; stays"),
    ],
)
def test_slacks_markup_becomes_plain_words(sent: str, meant: str) -> None:
    assert parse("/broadcast", sent).text == meant
    assert parse("/room", f"link class {sent}").text == meant


@pytest.mark.parametrize(("said", "number"), [("", None), ("2", 2), ("room 2", 2), ("main", 0), ("#3", 3)])
def test_the_room_to_join(said: str, number: int | None) -> None:
    assert parse("/room", f"join {said}").number == number


@pytest.mark.parametrize("text", ["“Two minutes left”", '"Two minutes left"', "„Two minutes left“"])
def test_quotes_around_a_broadcast_go(text: str) -> None:
    assert parse("/broadcast", text) == Typed(parse("/broadcast", "x").verb, text="Two minutes left")


def test_broadcast_to_some_rooms() -> None:
    typed = parse("/broadcast", "1, 3 : Two minutes: hurry")
    assert (typed.rooms, typed.text) == ((1, 3), "Two minutes: hurry")


@pytest.mark.parametrize("command", ["/broadcast", "/breakout"])
def test_nothing_typed_asks_for_a_form(command: str) -> None:
    assert parse(command, "  ").is_bare


def test_a_mention_names_the_person() -> None:
    typed = parse("/breakout", "move <@U0BOB|bob> 2")
    assert (typed.user, typed.number) == ("U0BOB", 2)
    typed = parse("/breakout", "move “Bob Keller” to room 2")
    assert (typed.user, typed.text, typed.number) == (None, "Bob Keller", 2)
    assert parse("/breakout", "move <@U0BOB> main").number == 0
    for text in ("move 2", "move <@U0BOB|bob>", "move <!channel> 2", "move"):
        with pytest.raises(BadUsage, match="who and where"):
            parse("/breakout", text)


@pytest.mark.parametrize(
    ("command", "typo", "nearest"),
    [("/breakout", "sart 4", "start"), ("/room", "conect X", "connect"), ("/record", "pauze", "pause")],
)
def test_an_unknown_verb_is_answered_with_the_nearest(command: str, typo: str, nearest: str) -> None:
    with pytest.raises(BadUsage, match=f"Did you mean `{nearest}`"):
        parse(command, typo)


@pytest.mark.parametrize(
    "text", ["start 4 auto manual", "start for", "start 4 for soon", "add ²", "move <@U1> ²"]
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(BadUsage):
        parse("/breakout", text)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 100),
    st.sampled_from([(900, "15m"), (90, "90s"), (3600, "1h"), (600, "10m")]),
    st.sampled_from(["auto", "manual", "self", "keep"]),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_start_understands_its_arguments_in_any_order(
    count: int, limit: tuple[int, str], assign: str, record: bool, random: Random, case: Callable[[str], str]
) -> None:
    parts = [[str(count)], ["for", limit[1]], [assign], *([["record"]] if record else [])]
    random.shuffle(parts)
    typed = parse("/breakout", case("start " + " ".join(word for part in parts for word in part)))
    assert (typed.number, typed.seconds) == (count, limit[0])
    assert typed.words == {assign, *(["record"] if record else [])}


@settings(max_examples=200, deadline=None)
@given(
    st.text("ABCdef äé-'", min_size=1, max_size=30).filter(lambda name: name.strip("\"'@ -") != ""),
    st.integers(0, 100),
    st.sampled_from(["", '"', "“"]),
)
def test_people_are_named_with_and_without_quotes(name: str, number: int, quote: str) -> None:
    close = {"“": "”"}.get(quote, quote)
    typed = parse("/breakout", f"move {quote}{name}{close} to room {number}")
    assert typed.number == number
    assert typed.text == " ".join(name.replace("’", "'").split()).strip("\"'@ ")


# -- pasted, full-width and nearly right -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rooms", "said"),
    [
        ("1:1 feedback starts now", (), "1:1 feedback starts now"),
        ("1: 1 feedback starts now", (1,), "1 feedback starts now"),
        ("１：もうすぐ終わります", (1,), "もうすぐ終わります"),
        ("１，３： two minutes", (1, 3), "two minutes"),
        ("1、3：two minutes", (1, 3), "two minutes"),
        ("1：30 left", (), "1：30 left"),
        ("1-3: back soon", (1, 2, 3), "back soon"),
        ("1–3, 5: back soon", (1, 2, 3, 5), "back soon"),
        ("3-1: back soon", (1, 2, 3), "back soon"),
        ("room 2: back soon", (2,), "back soon"),
        ("Rooms 1 and 3: back soon", (1, 3), "back soon"),
        ("rooms 2 to 4: back soon", (2, 3, 4), "back soon"),
        ("1 &amp; 2: back soon", (1, 2), "back soon"),
        ("1:\u00a0back soon", (1,), "back soon"),
        ("\ufeff\u200e2: back soon", (2,), "back soon"),
        ("2\u200b: back soon", (2,), "back soon"),
        ("2:\nback soon", (2,), "back soon"),
        ("https://x.org/a: read this", (), "https://x.org/a: read this"),
        ("Exercise 1: read this", (), "Exercise 1: read this"),
        ("½ time: stop", (), "½ time: stop"),
    ],
)
def test_which_rooms_a_broadcast_is_for(text: str, rooms: tuple[int, ...], said: str) -> None:
    typed = parse("/broadcast", text)
    assert (typed.rooms, typed.text) == (rooms, said)


@pytest.mark.parametrize("text", ["1:", "1: ", "１：", "room 2: \u200b", '1: ""'])
def test_a_broadcast_of_nothing_is_asked_for_its_text(text: str) -> None:
    with pytest.raises(BadUsage, match="Add the message to send"):
        parse("/broadcast", text)


def test_a_range_without_end_is_refused() -> None:
    with pytest.raises(BadUsage, match="too many"):
        parse("/broadcast", "1-999: hello")


@pytest.mark.parametrize("hidden", ["\u200b", "\ufeff", "\u200e", "\u2060", "\u00ad", "\u202e"])
def test_what_nobody_sees_breaks_no_command(hidden: str) -> None:
    typed = parse("/breakout", f"{hidden}start{hidden} {hidden}4 for{hidden} 15m{hidden} au{hidden}to")
    assert (typed.number, typed.seconds, typed.words) == (4, 900, frozenset({"auto"}))
    assert parse("/room", f"breakout{hidden} add 5m").seconds == 300
    assert parse("/room", f"connect AB{hidden}CD2345").text == "ABCD2345"
    assert parse("/breakout", f"move Bob{hidden} Keller 2").text == "Bob Keller"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("add 15 min.", 900),
        ("add 1h 30m", 5400),
        ("add 1 h 30 min", 5400),
        ("add 1 hour and 30 minutes", 5400),
        ("add 1:30", 5400),
        ("add 2 min 30 s", 150),
        ("add １５m", 900),
        ("add ٥m", 300),
        ("start 4 for 1h 30m auto.", 5400),
        ("start 4 for 15 min., auto", 900),
        ("start 4 1:30", 5400),
        ("start ４ for １５ min", 900),
    ],
)
def test_times_as_people_write_them(text: str, seconds: int) -> None:
    assert parse("/breakout", text).seconds == seconds


@pytest.mark.parametrize("text", ["end now.", "gather NOW", "shuffle now!", "end. now", "End　now。"])
def test_a_full_stop_behind_a_word_means_nothing(text: str) -> None:
    assert parse("/breakout", text).words == {"now"}


def test_a_name_that_was_copied_from_our_message_is_the_name() -> None:
    assert parse("/breakout", "move ∗Bob∗ Keˍller 2").text == "*Bob* Ke_ller"
