"""Offers: what the parent has for a child, and how far both have come with each channel.

Stands for: the list of offers in the parent's VMBus service.
Spec: ``minihv.spec.vmbus``, ``OfferChannel`` and ``RescindChannelOffer``.
Simplified: every channel has an event connection of its own; none is polled through monitor pages.
Next: ``minihv.vmbus.server``
"""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from minihv.errors import ConfigurationError
from minihv.spec.vmbus import (
    CHANNEL_CONNECTIONS,
    USER_BYTES,
    MessageType,
    OfferFlags,
    PipeMode,
)
from minihv.vmbus.channel import ChannelUser, OpenChannel
from minihv.vmbus.limits import MAX_CHANNELS
from minihv.vmbus.messages import encode


@dataclass(frozen=True, slots=True)
class Offer:
    """A device as the guest is told of it."""

    interface: UUID
    instance: UUID
    flags: OfferFlags = OfferFlags.ENUMERATE_DEVICE_INTERFACE
    mmio_megabytes: int = 0
    user_defined: bytes = b""
    sub_channel: int = 0

    def __post_init__(self) -> None:
        if len(self.user_defined) > USER_BYTES:
            raise ConfigurationError(
                f"An offer has at most {USER_BYTES} user-defined bytes, not {len(self.user_defined)}: "
                "send the rest through the ring."
            )

    @classmethod
    def pipe(cls, interface: UUID, instance: UUID, mode: PipeMode = PipeMode.MESSAGE) -> "Offer":
        """A named pipe, of bytes or of messages."""
        flags = OfferFlags.ENUMERATE_DEVICE_INTERFACE | OfferFlags.NAMED_PIPE_MODE
        return cls(interface, instance, flags, user_defined=int(mode).to_bytes(4, "little"))


@dataclass(slots=True)
class OfferedChannel:
    """An offer with its number, and how far guest and host have come with it."""

    relid: int
    offer: Offer
    user: ChannelUser
    is_told: bool = False
    """The guest has been sent the offer, in this connection."""
    is_rescinded: bool = False
    """The host has taken the offer back, and the guest has not released the number."""
    is_unclosed: bool = False
    """The guest has opened it and not said that it is closed; the host may have closed its own end."""
    open: OpenChannel | None = None

    @property
    def connection_id(self) -> int:
        """What the guest signals."""
        return CHANNEL_CONNECTIONS | self.relid

    @property
    def state(self) -> str:
        """``offered``, ``open`` or ``rescinded``."""
        return "rescinded" if self.is_rescinded else "open" if self.open else "offered"

    def offer_message(self) -> bytes:
        """The OfferChannel message."""
        offer = self.offer
        return encode(
            MessageType.OFFER_CHANNEL,
            interface=offer.interface,
            instance=offer.instance,
            flags=offer.flags,
            mmio_megabytes=offer.mmio_megabytes,
            user_defined=offer.user_defined.ljust(USER_BYTES, b"\0"),
            sub_channel=offer.sub_channel,
            relid=self.relid,
            dedicated_interrupt=1,
            connection_id=self.connection_id,
        )


class OfferTable:
    """The channels of one partition, by relid."""

    def __init__(self) -> None:
        self._channels: dict[int, OfferedChannel] = {}

    def add(self, offer: Offer, user: ChannelUser) -> OfferedChannel:
        """A new channel, under the lowest number that is free.

        Raises:
            ConfigurationError: there is none.
        """
        relid = next((n for n in range(1, MAX_CHANNELS + 1) if n not in self._channels), None)
        if relid is None:
            raise ConfigurationError(
                f"A partition has at most {MAX_CHANNELS} channels: rescind one that is not needed first."
            )
        self._channels[relid] = OfferedChannel(relid, offer, user)
        return self._channels[relid]

    def remove(self, relid: int) -> None:
        """The number is free again."""
        del self._channels[relid]

    def get(self, relid: int) -> OfferedChannel | None:
        """The channel of that number."""
        return self._channels.get(relid)

    def __iter__(self) -> Iterator[OfferedChannel]:
        return iter([self._channels[relid] for relid in sorted(self._channels)])

    def __len__(self) -> int:
        return len(self._channels)
