"""The hub's end of one connection as a state machine. Sans-I/O: frames in, frames and messages out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from agent.errors import ProtocolError
from agent.protocol.close_codes import CloseCode
from agent.protocol.codec import Codec, Frame, unpack_ids
from agent.protocol.messages import (
    Ack,
    BatchMessage,
    Bye,
    EventMessage,
    GapMessage,
    Hello,
    Message,
    Nack,
    RecordMessage,
    SeriesMessage,
    Welcome,
)
from agent.protocol.session import SessionState, must, out_of_place
from agent.protocol.versions import SPOKEN, Versions

__all__ = ["HubSession"]


class HubSession:
    """The hub's end.

    Args:
        codec: Of the agreed encoding.
        max_series: Definitions that one connection may make.
        versions: What this end speaks.

    Attributes:
        version: The newest that both ends speak; nothing newer may be sent. 0 before `hello`.
    """

    def __init__(self, codec: Codec, *, max_series: int, versions: Versions = SPOKEN) -> None:
        self.state = SessionState.NEW
        self.version = 0
        self.hello: Hello | None = None
        self._codec = codec
        self._max_series = max_series
        self._versions = versions
        self._defined: set[int] = set()
        self._checked_ids = b""
        self._resend_from: int | None = None

    def receive(self, frame: Frame) -> Message | None:
        """Take a frame of the agent and return its message; None for a record that is void since the last `nack`.

        Raises:
            ProtocolError: The agent broke the protocol; close with its code.
        """
        try:
            message = self._codec.decode(frame)
            return message if self._take(message) else None
        except ProtocolError:
            self.state = SessionState.CLOSED
            raise

    def welcome(
        self, last_seq: int, *, window_batches: int, window_bytes: int, max_frame_bytes: int, server_time_ns: int
    ) -> Frame:
        """The answer to `hello`."""
        must(self.state is SessionState.GREETING, "welcome answers hello")
        self.state = SessionState.STREAMING
        return self._codec.encode(
            Welcome(
                version=self.version,
                last_seq=last_seq,
                window_batches=window_batches,
                window_bytes=window_bytes,
                max_frame_bytes=max_frame_bytes,
                server_time_ns=server_time_ns,
            )
        )

    def ack(self, seq: int) -> Frame:
        """The frame that says: stored up to `seq`."""
        return self._codec.encode(Ack(seq=seq))

    def nack(self, seq: int, reason: str, retry_after_s: float) -> Frame:
        """The frame that says: send again from `seq`. Until it comes again, every record is void."""
        self._resend_from = seq
        return self._codec.encode(Nack(seq=seq, reason=reason, retry_after_s=retry_after_s))

    def say_bye(self, reason: str, *, retry_after_s: float = 0.0) -> Frame:
        """The last frame."""
        self.state = SessionState.CLOSED
        return self._codec.encode(Bye(reason=reason, retry_after_s=retry_after_s))

    def _take(self, message: Message) -> bool:
        if isinstance(message, Bye):
            self.state = SessionState.CLOSED
            return True
        if isinstance(message, Hello) and self.state is SessionState.NEW:
            return self._take_hello(message)
        if self.state is not SessionState.STREAMING:
            raise out_of_place(message, self.state)
        if isinstance(message, SeriesMessage):
            return self._take_series(message)
        if isinstance(message, BatchMessage | EventMessage | GapMessage):
            return self._take_record(message)
        raise out_of_place(message, self.state)

    def _take_hello(self, hello: Hello) -> bool:
        offered = Versions(hello.version if hello.min_version is UNSET else hello.min_version, hello.version)
        version = self._versions.common_with(offered)
        if version is None:
            raise ProtocolError(f"version {offered} is not spoken here, {self._versions} is", CloseCode.VERSION)
        self.state = SessionState.GREETING
        self.version = version
        self.hello = hello
        return True

    def _take_series(self, message: SeriesMessage) -> bool:
        self._defined.update([definition.id for definition in message.series])
        if len(self._defined) > self._max_series:
            text = f"more than {self._max_series} series on one connection"
            raise ProtocolError(text, CloseCode.TOO_MANY_SERIES)
        return True

    def _take_record(self, record: RecordMessage) -> bool:
        if isinstance(record, BatchMessage) and record.ids != self._checked_ids:
            self._check_ids(unpack_ids(record.ids))
            self._checked_ids = record.ids
        if self._resend_from is not None:
            if record.seq > self._resend_from:
                return False
            self._resend_from = None
        return True

    def _check_ids(self, ids: Sequence[int]) -> None:
        distinct = set(ids)
        if len(distinct) != len(ids):
            raise ProtocolError("a batch with one series twice", CloseCode.NOT_DECODABLE)
        unknown = distinct - self._defined
        if unknown:
            raise ProtocolError(f"series {_few(unknown)} never defined", CloseCode.UNKNOWN_SERIES)


def _few(ids: Iterable[int]) -> str:
    ordered = sorted(ids)
    return ", ".join(map(str, ordered[:3])) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")
