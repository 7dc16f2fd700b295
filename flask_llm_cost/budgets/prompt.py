"""How large a prompt is at most, in tokens: its bytes, and rules for what is no text.

One token needs at least one byte of UTF-8 in every tokenizer of the providers, so the bytes of all texts and
names of a request, and :data:`FRAMING` tokens for each object in it, are more tokens than its text can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

#: Tokens for each object of a request, a message among them. OpenAI documents 3 per message and 1 per name.
FRAMING = 8
#: Tokens for what a provider puts around any prompt, such as the start of the answer.
BASE = 64
#: Tokens of the instructions that come with tools; Anthropic documents up to 530 (Claude 3 Opus).
TOOL_INSTRUCTIONS = 600
#: Tokens of a tool whose definition is the provider's own, such as ``text_editor_20250728`` (700 documented).
BUILT_IN_TOOL = 1_500
#: Sound and film: at least so many bytes are one token. OpenAI counts 10 tokens a second, Gemini 32 of sound
#: (no codec for speech takes less than 320 bytes a second) and up to 300 of film.
BYTES_PER_AUDIO_TOKEN = 10
BYTES_PER_VIDEO_TOKEN = 1
#: Objects inside objects; no provider takes as many.
_DEPTH = 200

#: Tokens of a picture at most, by model, in OpenAI's words: 85 + 8 tiles x 170; 2,833 + 8 x 5,667; 1,536
#: patches x 2.46 (https://platform.openai.com/docs/guides/images-vision).
_OPENAI_PICTURES = (
    (re.compile(r"gpt-4o-mini"), 48_169),
    (re.compile(r"(gpt-4\.1|gpt-5)-(mini|nano)|o4-mini"), 3_779),
    (re.compile(r"gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-turbo|o[13](-|$)|gpt-5(-\d{4}|-chat|$)"), 1_445),
)
#: Other models: 2,500 patches x 2.46 where the request says so; else a picture may go in as it is, up to
#: 6,000 pixels a side: 188 x 188 patches x 1.2, and room for newer multipliers.
_ANY_OPENAI_PICTURE = 60_000
_REDUCED_PICTURE = 6_150
_REDUCED = ("low", "high")
#: Claude's newest models take pictures of up to 4,784 tokens, older ones of 1,600.
_CLAUDE_PICTURE = 4_800
#: Gemini: 258 for each of at most 20 tiles, or 2,240 at ultra high resolution.
_GEMINI_PICTURE = 5_160

Counter = Callable[[str], int]


@dataclass(slots=True)
class Prompt:
    """What a request's content amounts to at most. Counts only; no text is kept.

    :param unknown: what has a length that the request does not tell, in words for a person.
    :param marks: markers of caching that make writing dearer: ``write``, ``extended``.
    """

    text_tokens: int = BASE
    picture_tokens: int = 0
    audio_tokens: int = 0
    video_tokens: int = 0
    unknown: dict[str, None] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)

    @property
    def tokens(self) -> int:
        """All of it."""
        return self.text_tokens + self.picture_tokens + self.audio_tokens + self.video_tokens


def measure_prompt(body: Mapping[str, object], model: str, count_tokens: Counter | None = None) -> Prompt:
    """The size of a request's body, at most.

    :param count_tokens: a tokenizer of the model, which is closer than bytes.
    """
    return _Measuring(model.lower(), count_tokens).of(body)


class _Measuring:
    def __init__(self, model: str, count_tokens: Counter | None) -> None:
        self._picture = _picture_tokens(model)
        self._reduced = _REDUCED_PICTURE if self._picture == _ANY_OPENAI_PICTURE else self._picture
        self._count = count_tokens
        self._found = Prompt()

    def of(self, body: Mapping[str, object]) -> Prompt:
        for key, words in _STORED.items():
            if body.get(key):
                self._found.unknown[words] = None
        if isinstance(body.get("prompt"), Mapping):
            self._found.unknown["a prompt that the provider keeps"] = None
        if body.get("tools") or body.get("toolConfig"):
            self._found.text_tokens += TOOL_INSTRUCTIONS
        self._walk(body, 0)
        return self._found

    def _walk(self, value: object, depth: int) -> None:
        if depth > _DEPTH:
            self._found.unknown["a request that is nested too deep"] = None
        elif isinstance(value, Mapping):
            self._found.text_tokens += FRAMING
            if not self._is_media(value):
                for key, item in value.items():
                    self._entry(str(key), item, depth)
        elif isinstance(value, list | tuple):
            if value and all(type(item) is int for item in value):
                self._found.text_tokens += len(value)  # a text that came as its tokens
                return
            for item in value:
                self._walk(item, depth + 1)
        else:
            self._leaf(value)

    def _leaf(self, value: object) -> None:
        found = self._found
        if isinstance(value, str):
            found.text_tokens += self._count(value) if self._count is not None else size(value)
        elif isinstance(value, bytes | bytearray):
            found.text_tokens += len(value)
        elif value is None or isinstance(value, bool | int | float):
            found.text_tokens += len(repr(value))
        else:
            found.unknown["a part that is no JSON"] = None

    def _entry(self, key: str, item: object, depth: int) -> None:
        found = self._found
        found.text_tokens += size(key)
        if key in ("cache_control", "cachePoint"):
            found.marks.add("write")
            if isinstance(item, Mapping) and item.get("ttl") == "1h":
                found.marks.add("extended")
        elif key == "prompt_cache_retention":
            found.marks.add("extended")
        elif key == "type" and isinstance(item, str) and _BUILT_IN.match(item):
            found.text_tokens += BUILT_IN_TOOL
        self._walk(item, depth + 1)

    def _is_media(self, part: Mapping[str, object]) -> bool:
        """Count a part that is no text; whether it was one."""
        kind = part.get("type")
        if kind in ("image_url", "input_image") or (kind == "image" and "source" in part):
            self._found.picture_tokens += self._reduced if _detail(part) in _REDUCED else self._picture
        elif kind == "input_audio":
            self._inline("audio", part.get("input_audio"))
        elif kind in _UNKNOWN_PARTS:
            if _is_text_document(part):
                return False
            self._found.unknown[_UNKNOWN_PARTS[str(kind)]] = None
        else:
            return self._is_gemini_media(part) or self._is_bedrock_media(part)
        self._marks_of(part)
        return True

    def _is_gemini_media(self, part: Mapping[str, object]) -> bool:
        inline = part.get("inlineData", part.get("inline_data"))
        kept = part.get("fileData", part.get("file_data"))
        told = inline if isinstance(inline, Mapping) else kept if isinstance(kept, Mapping) else None
        if told is None:
            return False
        mime = str(told.get("mimeType", told.get("mime_type")) or "")
        if mime.startswith("image/"):
            self._found.picture_tokens += self._picture
        elif told is inline and mime.startswith(("audio/", "video/")):
            self._inline(mime.partition("/")[0], told)
        elif told is inline and mime.startswith("text/"):
            self._found.text_tokens += size(told.get("data"))
        else:
            self._found.unknown["a document or a file"] = None
        return True

    def _is_bedrock_media(self, part: Mapping[str, object]) -> bool:
        for name, words in _BEDROCK_PARTS.items():
            inner = part.get(name)
            if isinstance(inner, Mapping) and "source" in inner:
                if name == "image":
                    self._found.picture_tokens += self._picture
                else:
                    self._found.unknown[words] = None
                return True
        return False

    def _inline(self, kind: str, holder: object) -> None:
        data = holder.get("data") if isinstance(holder, Mapping) else None
        if not isinstance(data, str | bytes):
            self._found.unknown["sound or film without its data"] = None
        elif kind == "audio":
            self._found.audio_tokens += len(data) // BYTES_PER_AUDIO_TOKEN + FRAMING
        else:
            self._found.video_tokens += len(data) // BYTES_PER_VIDEO_TOKEN + FRAMING

    def _marks_of(self, part: Mapping[str, object]) -> None:
        if "cache_control" in part:
            self._entry("cache_control", part["cache_control"], 0)


def size(text: object) -> int:
    """The bytes of a text in UTF-8."""
    if not isinstance(text, str):
        return len(text) if isinstance(text, bytes) else 0
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _picture_tokens(model: str) -> int:
    if "claude" in model:
        return _CLAUDE_PICTURE
    if "gemini" in model or "gemma" in model:
        return _GEMINI_PICTURE
    return next((most for name, most in _OPENAI_PICTURES if name.search(model)), _ANY_OPENAI_PICTURE)


def _detail(part: Mapping[str, object]) -> object:
    """How much of a picture OpenAI's models are to look at."""
    holder = part.get("image_url")
    return holder.get("detail") if isinstance(holder, Mapping) else part.get("detail")


def _is_text_document(part: Mapping[str, object]) -> bool:
    """Documents that hold their text: Anthropic's of two kinds, and Cohere's."""
    source = part.get("source")
    if isinstance(source, Mapping):
        return source.get("type") in ("text", "content")
    return part.get("type") == "document" and isinstance(part.get("document"), Mapping)


#: Fields that bring in content which the request does not hold.
_STORED = {
    "previous_response_id": "the turns before it, which the provider keeps",
    "conversation": "a conversation that the provider keeps",
    "previous_interaction_id": "the turns before it, which the provider keeps",
    "cachedContent": "cached content that the provider keeps",
    "cached_content": "cached content that the provider keeps",
    "agent": "an agent of the provider",
    "agent_id": "an agent of the provider",
}
_UNKNOWN_PARTS = {
    "document": "a document or a file",
    "file": "a document or a file",
    "input_file": "a document or a file",
    "item_reference": "an item that the provider keeps",
    "container_upload": "a document or a file",
    "audio_url": "sound or film without its data",
    "input_video": "sound or film without its data",
    "video_url": "sound or film without its data",
    "document_url": "a document or a file",
}
_BEDROCK_PARTS = {
    "image": "",
    "document": "a document or a file",
    "video": "sound or film without its data",
    "audio": "sound or film without its data",
}
#: Tools whose definition the provider brings: ``bash_20250124``, ``computer_use_preview``.
_BUILT_IN = re.compile(r"(bash|text_editor|computer|memory|web_search|web_fetch|code_|tool_search|advisor)_")
