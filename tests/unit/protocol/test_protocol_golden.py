"""The wire format as files: a change of any byte that travels fails here."""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import Any

import msgspec
import pytest
from golden_messages import FOLDER, MESSAGES

from agent.protocol.codec import Codec, Encoding
from agent.protocol.messages import MESSAGE_TYPES, BatchMessage, Message


def golden(name: str, encoding: Encoding) -> str | bytes:
    content = (FOLDER / f"{name}.{encoding.value}").read_bytes()
    return content.decode() if encoding is Encoding.JSON else content


def comparable(message: Message) -> Any:
    """The message as builtins, with each NaN as text: JSON's null comes back as a NaN of one kind."""
    table = msgspec.to_builtins(message, builtin_types=(bytes,))
    if isinstance(message, BatchMessage):
        table["values"] = [str(value) for (value,) in struct.iter_unpack("<d", message.values)]
        table["bounds"] = [str(value) for (value,) in struct.iter_unpack("<f", message.bounds or b"")]
    return table


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written_as_its_file_byte_for_byte(name: str, encoding: Encoding) -> None:
    assert Codec(encoding, compress=False).encode(MESSAGES[name]) == golden(name, encoding)


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("name", MESSAGES)
def test_a_file_is_read_as_its_message(name: str, encoding: Encoding) -> None:
    assert comparable(Codec(encoding).decode(golden(name, encoding))) == comparable(MESSAGES[name])


@pytest.mark.parametrize("name", MESSAGES)
def test_both_files_say_the_same_to_a_reader_that_knows_only_the_document(name: str) -> None:
    """Generic decoders and the rule for arrays; none of the codec's own types."""
    packed = msgspec.msgpack.decode(golden(name, Encoding.MSGPACK))
    for key, letter in (("ids", "I"), ("values", "d"), ("flags", "B"), ("weights", "d"), ("bounds", "f")):
        if key in packed:
            numbers = [number for (number,) in struct.iter_unpack(f"<{letter}", packed[key])]
            packed[key] = [None if math.isnan(number) else number for number in numbers]
    assert packed == json.loads(golden(name, Encoding.JSON))


@pytest.mark.parametrize("name", MESSAGES)
def test_a_compressed_file_is_read_as_its_message(name: str) -> None:
    frame = zlib.compress(bytes(golden(name, Encoding.MSGPACK)), 9)
    assert comparable(Codec(Encoding.MSGPACK).decode(frame)) == comparable(MESSAGES[name])


def test_every_message_type_has_files_and_every_file_a_message() -> None:
    assert {message.__struct_config__.tag for message in MESSAGES.values()} == MESSAGE_TYPES
    expected = {f"{name}.{encoding.value}" for name in MESSAGES for encoding in Encoding}
    assert {path.name for path in FOLDER.iterdir()} == expected
