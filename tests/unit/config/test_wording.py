from __future__ import annotations

from typing import Any

import pytest

from agent.config.wording import MASK, masked, shown


@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("token", "hunter2", MASK),
        ("hub_token", "hunter2", MASK),
        ("password", 12345, MASK),
        ("tokens", ["hunter2"], MASK),
        ("token", "", ""),
        ("budget_tokens", 10, 10),
        ("token_file", "/etc/rebellion/hub-token", "/etc/rebellion/hub-token"),
        ("url", "wss://joe:hunter2@hub:1/x", f"wss://{MASK}@hub:1/x"),
        ("url", "wss://hub/?a=1&access_token=hunter2#x", f"wss://hub/?a=1&access_token={MASK}#x"),
        ("url", "wss://hub:1/x", "wss://hub:1/x"),
        ("headers", {"secret": "hunter2", "accept": "json"}, {"secret": MASK, "accept": "json"}),
        ("urls", ["ws://a", "ws://joe@b"], ["ws://a", f"ws://{MASK}@b"]),
        ("interval_s", 5, 5),
        ("reason", f"sent rbl_{'x' * 43} twice", f"sent {MASK} twice"),
        ("error", "Authorization: Bearer aGVsbG8gaGVsbG8=, refused", f"Authorization: Bearer {MASK}, refused"),
        ("text", "a Bearer of news", "a Bearer of news"),
    ],
)
def test_secrets_are_masked_and_nothing_else(key: str, value: Any, seen: Any) -> None:
    assert masked(key, value) == seen


def test_value_in_a_message_is_short_and_quoted() -> None:
    assert shown("name", "x\ny") == "'x\\ny'"
    assert shown("enabled", value=True) == "true"
    assert len(shown("name", "x" * 1000)) == 80
