"""The file of agents' tokens: one line a token, of which only the SHA-256 is kept. Made, read, changed and watched here."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError, ConfigProblem, RebellionError

__all__ = ["TokenBook", "TokenEntry", "TokenFile", "digest_of", "stored_digest"]

TOKEN_PREFIX = "rbl_"  # noqa: S105 - what a token begins with, so that logs can mask it and people can tell what it is
_HASHED = "sha256:"
_KEY = "agent_tokens_file"
_HEAD = "# Tokens of agents, hashed: AGENT sha256:HEX CREATED. Made by `rebellion hub token create AGENT`.\n"


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """One token of one agent.

    Attributes:
        digest: SHA-256 of the token.
        created: When it was made, `2026-11-25T14:00:00Z`; "" when that is not known.
        is_hashed: False when the file held the token itself.
    """

    agent: str
    digest: bytes
    created: str = ""
    is_hashed: bool = True

    @property
    def id(self) -> str:
        """The head of the digest: enough to tell an agent's tokens apart, of no use to log in."""
        return self.digest.hex()[:8]

    @property
    def line(self) -> str:
        """How it stands in the file."""
        return f"{self.agent} {_HASHED}{self.digest.hex()} {self.created}".rstrip() + "\n"


class TokenFile:
    """The file on disk. Every change is one atomic replacement, and two changes at once wait for each other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[TokenEntry, ...]:
        """Every token in the file.

        Raises:
            ConfigError: It cannot be read, or a line is none of ours; the line's number is told, never what stands in it.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise _problem(f"{self.path}: cannot be read: {reason}") from None
        lines = enumerate(text.splitlines(), start=1)
        return tuple(_entry(words, f"{self.path}:{number}") for number, line in lines if (words := _words(line)))

    def create(self, agent: str, created: str) -> str:
        """Add a token for an agent, beside those it has, and return it: this is the only time that it can be seen.

        Raises:
            RebellionError: The name cannot stand in the file.
            ConfigError: The file cannot be used.
        """
        if not agent or len(agent.split()) != 1 or agent.startswith("#") or len(agent) > 256 or not agent.isprintable():
            raise RebellionError(f"an agent's name is one word of at most 256 characters (got {agent!r})")
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self._locked():
            entries = self.read() if self.path.exists() else ()
            self._write([*entries, TokenEntry(agent, digest_of(token), created)])
        return token

    def revoke(self, agent: str, token_id: str = "") -> int:
        """Remove an agent's tokens, or the one of that id; how many were removed."""
        with self._locked():
            entries = self.read()
            kept = [one for one in entries if one.agent != agent or not one.id.startswith(token_id)]
            if len(kept) < len(entries):
                self._write(kept)
        return len(entries) - len(kept)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
            os.fsync(folder)
        finally:
            os.close(folder)

    def _write(self, entries: Sequence[TokenEntry]) -> None:
        """Replace the file as a whole; it is readable for its owner alone, root's work keeps the owner that is meant."""
        descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_HEAD + "".join(entry.line for entry in entries))
                file.flush()
                if os.geteuid() == 0:
                    meant = (self.path if self.path.exists() else self.path.parent).stat()
                    os.fchown(file.fileno(), meant.st_uid, meant.st_gid)
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


class TokenBook:
    """The tokens in force.

    Raises:
        ConfigError: The file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._file = TokenFile(path)
        self._seen = self._fingerprint()
        self.entries = self._file.read()

    def agent_of(self, token: str) -> str | None:
        """Whose token this is; None when it is nobody's. Compares with every entry, each in constant time."""
        digest = digest_of(token)
        found = None
        for entry in self.entries:
            if hmac.compare_digest(digest, entry.digest):
                found = entry.agent
        return found

    def refresh(self) -> bool:
        """Read the file again when it has changed; True when that changed the tokens in force.

        Raises:
            ConfigError: It cannot be used now; told once a change, and the tokens stay as they were.
        """
        fingerprint = self._fingerprint()
        if fingerprint == self._seen:
            return False
        self._seen = fingerprint
        before, self.entries = self.entries, self._file.read()
        return before != self.entries

    def _fingerprint(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def digest_of(token: str) -> bytes:
    """SHA-256 of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def stored_digest(word: str) -> bytes | None:
    """The digest that a word of a file stands for: `sha256:HEX`, or the token itself; None when it is neither."""
    if not word.startswith(_HASHED):
        return digest_of(word)
    try:
        digest = bytes.fromhex(word.removeprefix(_HASHED))
    except ValueError:
        return None
    return digest if len(digest) == hashlib.sha256().digest_size else None


def _words(line: str) -> list[str]:
    words = line.split()
    return [] if line.lstrip().startswith("#") else words


def _entry(words: Sequence[str], where: str) -> TokenEntry:
    digest = stored_digest(words[1]) if 2 <= len(words) <= 3 else None
    is_hashed = len(words) > 1 and words[1].startswith(_HASHED)
    if digest is None or (len(words) == 3 and not is_hashed):
        raise _problem(
            f"{where}: is no token", "a line is: AGENT sha256:HEX CREATED, as `rebellion hub token create` writes it"
        )
    return TokenEntry(words[0], digest, words[2] if len(words) == 3 else "", is_hashed)


def _problem(message: str, hint: str = "") -> ConfigError:
    return ConfigError([ConfigProblem("hub", _KEY, message, hint)])
