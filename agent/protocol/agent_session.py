"""The agent's end of one connection as a state machine. Sans-I/O: frames in, frames and messages out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from agent.errors import ProtocolError
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import Codec, Frame, unpack_ids
from agent.protocol.messages import (
    Ack,
    BatchMessage,
    Bye,
    Hello,
    Message,
    Nack,
    RecordMessage,
    SeriesDefinition,
    SeriesMessage,
    Welcome,
)
from agent.protocol.session import SessionState, must, out_of_place
from agent.protocol.versions import SPOKEN, Versions

__all__ = ["AgentSession"]

_DEFINITIONS_A_MESSAGE = 500


class AgentSession:
    """The agent's end.

    Args:
        codec: Of the agreed encoding.
        agent, epoch, agent_version, labels: What `hello` says.
        versions: What this end speaks.

    Attributes:
        version: The one that the hub chose; nothing newer may be sent. 0 before `welcome`.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        agent: str,
        epoch: str,
        agent_version: str,
        labels: Mapping[str, str],
        versions: Versions = SPOKEN,
    ) -> None:
        self.state = SessionState.NEW
        self.version = 0
        self.acked_seq = 0
        self.nack: Nack | None = None
        self.bye: Bye | None = None
        self._codec = codec
        self._agent = agent
        self._epoch = epoch
        self._agent_version = agent_version
        self._labels = dict(labels)
        self._versions = versions
        self._window_batches = 0
        self._window_bytes = 0
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0
        self._sent_seq = 0
        self._defined: set[int] = set()
        self._checked_ids = b""

    @property
    def has_room(self) -> bool:
        """True when one more record may go out: the hub's window has room, and nobody said goodbye."""
        return self.state is SessionState.STREAMING and self._fits_the_window()

    @property
    def in_flight_bytes(self) -> int:
        return self._in_flight_bytes

    @property
    def sent_seq(self) -> int:
        """Sequence number of the newest record sent on this connection; 0 = none."""
        return self._sent_seq

    def hello(self, next_seq: int) -> Frame:
        """The first frame; `next_seq` is the oldest record still to deliver."""
        must(self.state is SessionState.NEW, "hello was said already")
        self.state = SessionState.GREETING
        return self._codec.encode(
            Hello(
                version=self._versions.newest,
                min_version=UNSET if self._versions.oldest == self._versions.newest else self._versions.oldest,
                agent=self._agent,
                epoch=self._epoch,
                agent_version=self._agent_version,
                labels=self._labels,
                next_seq=next_seq,
            )
        )

    def undefined(self, batch: BatchMessage) -> list[int]:
        """Ids of the batch that were not defined on this connection yet."""
        if batch.ids == self._checked_ids:
            return []
        missing = [series_id for series_id in unpack_ids(batch.ids) if series_id not in self._defined]
        if not missing:
            self._checked_ids = batch.ids
        return missing

    def define(self, definitions: Sequence[SeriesDefinition]) -> list[Frame]:
        """Frames that define these series, before the batch that uses them."""
        must(self.state is SessionState.STREAMING, "series before welcome")
        frames = [
            self._codec.encode(SeriesMessage(series=list(definitions[start : start + _DEFINITIONS_A_MESSAGE])))
            for start in range(0, len(definitions), _DEFINITIONS_A_MESSAGE)
        ]
        self._defined.update(definition.id for definition in definitions)
        return frames

    def send(self, record: RecordMessage) -> Frame:
        """The frame of a record, counted as in flight until it is acked.

        Raises:
            ProtocolError: The record is larger than the hub's frames may be (1009); it was not counted.
        """
        must(self.state is SessionState.STREAMING, "a record before welcome")
        must(record.seq > self._sent_seq, "sequence numbers must rise")
        frame = self._codec.encode(record)
        self._sent_seq = record.seq
        self._in_flight.append((record.seq, len(frame)))
        self._in_flight_bytes += len(frame)
        self.nack = None
        return frame

    def say_bye(self, reason: str) -> Frame:
        """The last frame."""
        self.state = SessionState.CLOSED
        return self._codec.encode(Bye(reason=reason, seq=self._sent_seq or None))

    def receive(self, frame: Frame) -> Message:
        """Take a frame of the hub and return its message; state and window are up to date afterwards.

        Raises:
            ProtocolError: The hub broke the protocol; close with its code.
        """
        try:
            message = self._codec.decode(frame)
            self._take(message)
        except ProtocolError:
            self.state = SessionState.CLOSED
            raise
        return message

    def _take(self, message: Message) -> None:
        if isinstance(message, Bye):
            self.state, self.bye = SessionState.CLOSED, message
        elif isinstance(message, Welcome) and self.state is SessionState.GREETING:
            self._take_welcome(message)
        elif isinstance(message, Ack) and self.state is SessionState.STREAMING:
            self._take_ack(message.seq)
        elif isinstance(message, Nack) and self.state is SessionState.STREAMING:
            self._take_nack(message)
        else:
            raise out_of_place(message, self.state)

    def _fits_the_window(self) -> bool:
        return len(self._in_flight) < self._window_batches and self._in_flight_bytes < self._window_bytes

    def _take_welcome(self, welcome: Welcome) -> None:
        if welcome.version not in self._versions:
            raise ProtocolError(f"the hub speaks version {welcome.version}, not {self._versions}", CloseCode.VERSION)
        self.state = SessionState.STREAMING
        self.version = welcome.version
        self.acked_seq = self._sent_seq = welcome.last_seq
        self._window_batches = welcome.window_batches
        self._window_bytes = welcome.window_bytes
        self._codec.max_send_bytes = welcome.max_frame_bytes

    def _take_ack(self, seq: int) -> None:
        if seq > self._sent_seq:
            raise ProtocolError(f"ack of {seq}, which was never sent", CloseCode.PROTOCOL)
        self.acked_seq = max(self.acked_seq, seq)
        while self._in_flight and self._in_flight[0][0] <= seq:
            self._in_flight_bytes -= self._in_flight.popleft()[1]

    def _take_nack(self, nack: Nack) -> None:
        if not any(seq == nack.seq for seq, _ in self._in_flight):
            raise ProtocolError(f"nack of {nack.seq}, which is not in flight", CloseCode.PROTOCOL)
        while self._in_flight and self._in_flight[-1][0] >= nack.seq:
            self._in_flight_bytes -= self._in_flight.pop()[1]
        self._sent_seq = nack.seq - 1
        self.nack = nack
