"""Integration services agree on versions first, and believe answers to their own questions only."""

import pytest
from synthetic_guests import (
    FakePacket,
    agree,
    answer_to,
    body_of,
    offered_versions,
    opened,
    ready,
    send,
)

from minihv.devices.synthetic.framing import Answer, version_list
from minihv.devices.synthetic.integration import IntegrationService, Phase
from minihv.devices.synthetic.service import Refusal
from minihv.spec.integration import IcHeader, MessageType, PipeHeader


class Asker(IntegrationService):
    name = "asker"
    message_type = MessageType.VSS

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[bytes] = []
        self.lost = 0

    def _answered(self, answer: Answer) -> Refusal | None:
        self.answers.append(answer.body)
        return None

    def _lost(self) -> None:
        self.lost += 1


def test_host_speaks_first_and_offers_its_versions() -> None:
    asked = opened(Asker()).read()
    header = IcHeader(bytearray(asked.payload), PipeHeader.byte_count)
    assert (header.message_type, header.flags) == (MessageType.NEGOTIATE, 3)
    assert offered_versions(asked) == ([(1, 0), (3, 0)], [(1, 0), (3, 0)])


@pytest.mark.parametrize("newest", [(1, 0), (3, 0)])
def test_guest_chooses(newest: tuple[int, int]) -> None:
    service = Asker()
    ready(service, newest)
    assert (service.phase, service.framework, service.version) == (Phase.READY, (3, 0), newest)


def test_guest_without_a_match_is_left_alone() -> None:
    service = Asker()
    channel = opened(service)
    send(service, channel, answer_to(channel.read(), version_list([], []) + bytes(8)))
    assert (service.phase, len(channel.to_guest), not service.dropped) == (Phase.REFUSED, 0, True)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (version_list([(2, 0)], [(1, 0)]), Refusal.BODY),
        (version_list([(1, 0)], [(2, 0)]), Refusal.BODY),
        (b"", Refusal.SHORT),
    ],
)
def test_choice_that_was_not_offered_is_none(body: bytes, refusal: Refusal) -> None:
    service = Asker()
    channel = opened(service)
    send(service, channel, answer_to(channel.read(), body))
    assert (service.phase, service.dropped) == (Phase.REFUSED, {refusal: 1})


def test_failed_negotiation_chooses_nothing() -> None:
    service = Asker()
    channel = opened(service)
    send(service, channel, answer_to(channel.read(), version_list([(1, 0)], [(1, 0)]), status=0x80004005))
    assert service.phase is Phase.REFUSED


def test_another_message_is_no_choice() -> None:
    service = Asker()
    channel = opened(service)
    asked = bytearray(channel.read().payload)
    IcHeader(asked, PipeHeader.byte_count).message_type = MessageType.KVP
    send(service, channel, answer_to(FakePacket(bytes(asked))))
    assert (service.phase, service.dropped) == (Phase.REFUSED, {Refusal.MESSAGE_TYPE: 1})


def test_answer_is_taken_once() -> None:
    service = Asker()
    channel = ready(service)
    service._ask(b"question")
    asked = channel.read()
    send(service, channel, answer_to(asked, b"answer!!"), answer_to(asked, b"again!!!"))
    assert (body_of(asked), service.answers) == (b"question", [b"answer!!"])
    assert service.dropped == {Refusal.UNASKED: 1}


def test_late_answer_is_counted_and_forgiven() -> None:
    service = Asker()
    channel = ready(service)
    service._ask(b"first")
    service._ask(b"second")
    first, second = channel.read(), channel.read()
    send(service, channel, answer_to(first), answer_to(second, b"to two"))
    assert (service.answers, service.late_answers, not service.dropped) == ([b"to two"], 1, True)


def test_answer_of_another_kind_is_dropped() -> None:
    service = Asker()
    channel = ready(service)
    service._ask(b"", MessageType.KVP)
    send(service, channel, answer_to(channel.read()))
    assert service.dropped == {Refusal.MESSAGE_TYPE: 1}


def test_noise_is_dropped() -> None:
    service = Asker()
    channel = ready(service)
    send(service, channel, FakePacket(b"noise" * 3))
    assert service.dropped == {Refusal.PIPE_TYPE: 1}


def test_transaction_numbers_go_round() -> None:
    service = Asker()
    channel = ready(service, room=10_000)
    for _ in range(600):
        service._ask(b"")
    numbers = {
        IcHeader(bytearray(packet.payload), PipeHeader.byte_count).transaction_id
        for packet in channel.to_guest
    }
    assert (min(numbers), max(numbers), len(service._unanswered)) == (1, 255, 255)


def test_negotiation_waits_for_room() -> None:
    service = Asker()
    channel = opened(service, room=0)
    channel.room = 1
    service.signalled(channel)
    agree(service, channel)
    assert service.phase is Phase.READY


def test_closed_service_waits_for_nothing() -> None:
    service = Asker()
    ready(service)
    service._ask(b"")
    service.closed()
    assert (service.phase, service.lost, len(service._unanswered)) == (Phase.CLOSED, 1, 0)


def test_service_must_say_what_an_answer_means() -> None:
    with pytest.raises(TypeError, match=r"abstract method '?_answered'?"):
        IntegrationService()  # type: ignore[abstract]
