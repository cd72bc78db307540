"""The numbers of the tour's second act are those of machines that this test runs by itself."""

import re
from collections.abc import Callable

import pytest
from guest_images import built
from parent_machines import NEEDS_COMPILER, needs_calls

from minihv.cli.acts import act1, act2
from minihv.cli.narrator import TERM, Narrator
from minihv.parent.session import ParentSession

pytestmark = [needs_calls, pytest.mark.skipif(NEEDS_COMPILER, reason="no C compiler is installed")]

Play = Callable[[Callable[[Narrator], None]], str]


@pytest.fixture
def play(capsys: pytest.CaptureFixture[str]) -> Play:
    """Plays a scene; what it shows."""

    def one(scene: Callable[[Narrator], None]) -> str:
        scene(Narrator(plain=True, pause=False, beat=lambda: None))
        return capsys.readouterr().out

    return one


class Listener(Narrator):
    """Keeps what is said, with its marks."""

    def __init__(self) -> None:
        super().__init__(plain=True, pause=False, beat=lambda: None)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(" ".join(text.split()))


def together(shown: str) -> dict[str, tuple[int, ...]]:
    """The last table: instructions, exits, interrupts and changes of ring, of each partition."""
    rows = re.findall(
        r"^  \| (child|parent) +([\d,]+) +(\d+) +(\d+) +(\d+)$", shown.split("Together")[-1], re.MULTILINE
    )
    return {row[0]: tuple(int(number.replace(",", "")) for number in row[1:]) for row in rows}


def test_child_sees_frames_of_its_parent_only(play: Play) -> None:
    shown = play(act2.a_parent)
    assert f"the {act2.CHILD_BYTES // 4096:,} that it sees are lent by the parent" in " ".join(shown.split())
    calls = dict(reversed(row) for row in re.findall(r"^  \| +(\d+)  (Hv\w+)$", shown, re.MULTILINE))
    assert calls["HvCreatePartition"] == calls["HvCreateVp"] == "1"


def test_conversation_is_the_one_that_opens_a_channel(play: Play) -> None:
    posted = re.findall(r"^  \| (child  -> parent|parent -> child) +(\w+)", play(act2.a_bus), re.MULTILINE)
    words = [word for _, word in posted]
    assert words[:3] == ["InitiateContact", "VersionResponse", "RequestOffers"]
    assert words.count("OfferChannel") == 6 and words[9] == "AllOffersDelivered"
    assert words[10:] == ["GpadlHeader", "GpadlCreated", "OpenChannel", "OpenChannelResult"]
    from_child = {word for way, word in posted if way.startswith("child")}
    assert from_child == {"InitiateContact", "RequestOffers", "GpadlHeader", "OpenChannel"}


def test_store_publishes_the_packet_without_an_exit(play: Play) -> None:
    shown = play(act2.two_rings)
    rows = re.findall(r"^  \| to parent +(\d+) +(\d+) +(\d+)  (yes|no)$", shown, re.MULTILINE)
    assert rows == [("0", "0", "0", "yes"), ("32", "0", "32", "yes")]
    assert re.search(r"^  \| 0x[0-9a-f]+  \w+ +(mov|xchg) ", shown, re.MULTILINE)


def test_round_trip_is_that_of_the_machine(play: Play) -> None:
    shown = play(act2.one_message)
    counts = together(shown)
    assert (counts["child"][1:], counts["parent"][1:]) == ((2, 1, 0), (3, 1, 0))
    parts = re.findall(r"^  \| \d\. (child|parent): ([\d,]+) instructions?$", shown, re.MULTILINE)
    for who in ("child", "parent"):
        assert sum(int(n.replace(",", "")) for name, n in parts if name == who) == counts[who][0]
    assert [name for name, _ in parts] == ["child"] * 2 + ["parent"] * 3 + ["child"]


def test_functions_of_a_part_add_up_to_its_instructions(play: Play) -> None:
    for part in re.split(r"^  \| \d\. ", play(act2.one_message).split("Together")[0], flags=re.MULTILINE)[1:]:
        said = int(re.match(r"\w+: ([\d,]+)", part)[1].replace(",", ""))  # type: ignore[index]
        assert sum(int(count) for count in re.findall(r" (\d+)  [a-z_]+", part)) == said


def test_port_goes_through_a_worker_in_ring_3(play: Play) -> None:
    shown = play(act2.one_port)
    counts = together(shown)
    assert (counts["child"][1:], counts["parent"][1:]) == ((1, 0, 0), (3, 1, 2))
    assert "the gate: INTERCEPT" in shown and "HvSetVpRegisters" in shown and "worker (ring 3)" in shown


def test_many_packets_cost_few_signals(play: Play) -> None:
    shown = play(act2.many_messages)
    exits, signals = re.search(r"child +([\d,]+) +([\d,]+) +0\.\d{3}$", shown, re.MULTILINE).groups()  # type: ignore[union-attr]
    assert 0 < int(signals.replace(",", "")) < act2.SENT_AT_ONCE / 50
    assert int(exits.replace(",", "")) >= int(signals.replace(",", ""))


def test_every_part_of_the_stories_has_its_meaning() -> None:
    listener = Listener()
    act2.one_message(listener)
    act2.one_port(listener)
    for said in (*act2.MEANINGS.values(), *act2.MEANINGS_OF_POKE.values()):
        assert " ".join(said.split()) in listener.said


def test_no_word_is_used_before_it_is_explained() -> None:
    listener = Listener()
    act1.play(listener)
    first = len(listener.said)
    act2.play(listener)
    told = " ".join(TERM.sub(lambda found: found[1], text) for text in listener.said[:first])
    for text in listener.said[first:]:
        for found in TERM.finditer(text):
            before = told + " " + TERM.sub("", text[: found.start()])
            assert not re.search(rf"\b{re.escape(found[1])}\b", before, re.IGNORECASE), found[1]
        told += " " + text


@pytest.mark.parametrize("command", [command for command, _ in act2.TO_TRY if " run " in command])
def test_runs_to_try_work(command: str) -> None:
    guest = command.split()[2]
    with ParentSession(str(built() / f"{guest}.elf")) as session:
        if "--shutdown-after" in command:
            session.shut_down_after(float(command.split()[-1]))
        assert session.run().stopped in ("halted", "shutdown")
