from __future__ import annotations

import hashlib
import os
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, RebellionError
from agent.hub.tokens import TokenBook, TokenEntry, TokenFile, digest_of

CREATED = "2026-11-25T14:00:00Z"


@pytest.fixture
def file(tmp_path):
    return TokenFile(tmp_path / "tokens")


def test_a_token_is_shown_once_and_only_its_hash_is_kept(file):
    token = file.create("web1", CREATED)
    text = file.path.read_text()
    assert token not in text
    assert f"web1 sha256:{hashlib.sha256(token.encode()).hexdigest()} {CREATED}\n" in text
    assert TokenBook(file.path).agent_of(token) == "web1"
    assert TokenBook(file.path).agent_of(token[:-1]) is None


def test_a_token_has_256_bits_and_no_two_are_the_same(file):
    tokens = {file.create("web1", CREATED) for _ in range(20)}
    assert len(tokens) == 20
    assert {len(token) for token in tokens} == {len("rbl_") + 43}


def test_the_file_is_readable_for_its_owner_alone_after_every_change(file):
    file.create("web1", CREATED)
    file.path.chmod(0o644)
    file.create("web2", CREATED)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["tokens"]


def test_a_new_file_belongs_to_whom_its_folder_belongs_and_a_changed_one_to_whom_it_did(file):
    """Root makes tokens for a hub that runs as somebody else; without root all of it belongs to the user anyway."""
    is_root = os.geteuid() == 0
    owner, other = (12_345, 12_346) if is_root else (os.geteuid(), os.geteuid())
    if is_root:
        os.chown(file.path.parent, owner, owner)
    file.create("web1", CREATED)
    assert file.path.stat().st_uid == owner
    if is_root:
        os.chown(file.path, other, other)
    file.create("web2", CREATED)
    assert file.path.stat().st_uid == other


def test_revoking_takes_all_tokens_of_one_agent_or_the_one_that_is_named(file):
    first, second, other = (file.create(agent, CREATED) for agent in ("web1", "web1", "web2"))
    assert file.revoke("web1", digest_of(first).hex()[:8]) == 1
    assert [TokenBook(file.path).agent_of(one) for one in (first, second, other)] == [None, "web1", "web2"]
    assert file.revoke("web1") == 1
    assert file.revoke("web1") == 0
    assert [TokenBook(file.path).agent_of(one) for one in (first, second, other)] == [None, None, "web2"]


def test_a_line_in_clear_is_read_and_hashed_by_the_next_change(file):
    file.path.write_text("# by hand\nweb1 s3cret\n")
    (entry,) = file.read()
    assert not entry.is_hashed
    file.create("web2", CREATED)
    assert "s3cret" not in file.path.read_text()
    assert all(entry.is_hashed for entry in file.read())
    assert TokenBook(file.path).agent_of("s3cret") == "web1"


@pytest.mark.parametrize("name", ["", "a b", "#web1", "a\nb", "a\x1b", "x" * 257])
def test_a_name_that_cannot_stand_in_the_file_is_refused(file, name):
    with pytest.raises(RebellionError, match="an agent's name is one word"):
        file.create(name, CREATED)
    assert not file.path.exists()


@pytest.mark.parametrize("line", ["web1", "web1 secret1 secret2", "web1 sha256:ab secret3", f"web1 sha256:{'z' * 64}"])
def test_a_bad_line_is_named_by_its_number_and_not_shown(file, line):
    file.path.write_text(f"# fine\n{line}\n")
    with pytest.raises(ConfigError, match=r"tokens:2: is no token") as caught:
        file.read()
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError):
        file.create("web2", CREATED)
    assert file.path.read_text() == f"# fine\n{line}\n"


def test_changes_at_the_same_time_lose_nothing(file):
    workers = [threading.Thread(target=file.create, args=(f"web{n}", CREATED)) for n in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(entry.agent for entry in file.read()) == sorted(f"web{n}" for n in range(16))


def test_a_book_takes_over_what_changed_and_says_so(file):
    first = file.create("web1", CREATED)
    book = TokenBook(file.path)
    assert not book.refresh()
    second = file.create("web2", CREATED)
    assert book.agent_of(second) is None
    assert book.refresh()
    assert (book.agent_of(first), book.agent_of(second)) == ("web1", "web2")
    file.path.touch()
    assert not book.refresh()


@pytest.mark.parametrize("spoil", ["remove", "garble"])
def test_a_book_whose_file_is_spoilt_says_so_once_and_keeps_what_it_had(file, spoil):
    token = file.create("web1", CREATED)
    book = TokenBook(file.path)
    whole = file.path.read_text()
    if spoil == "remove":
        file.path.unlink()
    else:
        file.path.write_text("garbled\n")
    with pytest.raises(ConfigError):
        book.refresh()
    assert not book.refresh()
    assert book.agent_of(token) == "web1"
    file.path.write_text(whole + "web2 other\n")
    assert book.refresh()


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=20).filter(
    lambda name: not name.startswith("#")
)


@given(st.lists(st.tuples(NAMES, st.binary(min_size=32, max_size=32), st.sampled_from(["", CREATED]))))
def test_what_is_written_is_read_back(tmp_path_factory, found):
    entries = tuple(TokenEntry(*one) for one in found)
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text("".join(entry.line for entry in entries))
    assert TokenFile(path).read() == entries
