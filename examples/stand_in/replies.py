"""What the stand-in says, and how much that is in tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

LABEL = "[stand-in answer, no model was asked]"

#: Providers answer an alias with the dated model behind it.
_DATED = {
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "gpt-5.4-nano": "gpt-5.4-nano-2026-03-17",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}

Body = dict[str, Any]
#: The name of a server-sent event (OpenAI's chat has none) and its data.
ServerEvent = tuple[str | None, Body]

_seen_prefixes: set[str] = set()


def text_of(content: str | list[Body] | None) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return content or ""


def tokens(text: str) -> int:
    return len(text) // 4 + 1


def reply_to(body: Body, question: str) -> str:
    """An answer that fits what the desk asks. The same question gets the same answer."""
    if "urgent, normal or low" in str(body.get("instructions")):
        urgent = any(word in question.lower() for word in ("down", "charged", "cannot", "lost"))
        return f"{'urgent' if urgent else 'normal'} {LABEL}"
    if question.startswith("Summarise"):
        return (
            f"{LABEL} The customer describes one problem and has been given a first answer. "
            "Open: confirmation that the fix works. Next step: ask again in two days."
        )
    return (
        f"{LABEL} Thank you for the details. Please sign out on every device, sign in again and open the "
        "page in a private window: that rules out an old session. If it still fails, send us the time of "
        "the last attempt and the code at the bottom of the page. We look at the account's log meanwhile "
        "and answer within one working day."
    )


def pieces(text: str) -> Iterator[str]:
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def is_repeated(model: str, prefix: str) -> bool:
    """Whether this beginning of a prompt came before: providers keep it in a cache for some minutes."""
    digest = hashlib.sha256(f"{model}\n{prefix}".encode()).hexdigest()
    repeated = digest in _seen_prefixes
    _seen_prefixes.add(digest)
    return repeated


def answering_model(body: Body) -> str:
    return _DATED.get(body["model"], body["model"])
