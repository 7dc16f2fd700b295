"""Tools that the provider runs itself, inside one call: how often, and what else they are billed for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field

#: Types of tools that the app runs: they end the call. What has no type is a function.
_APPS_OWN = re.compile(
    r"(function|custom|local_shell|apply_patch|namespace"
    r"|computer(_use_preview|_2\d+)?|bash_\d+|text_editor_\d+|memory_\d+)$"
)
#: OpenAI's, limited by ``max_tool_calls``, with what each run is billed as.
_OPENAI = re.compile(r"(web_search(?:_preview)?|file_search)(?:_\d[\d_]*)?$")
_OPENAI_CHARGES = {
    "web_search": "web_search_request",
    "web_search_preview": "web_search_request",
    "file_search": "file_search_call",
}
#: Anthropic's, each limited by its own ``max_uses``.
_ANTHROPIC = re.compile(r"(web_search|web_fetch)_\d+$")
_ANTHROPIC_CHARGES = {"web_search": "web_search_request", "web_fetch": "web_fetch_request"}
#: What the keys of Gemini's tools hold that the app runs itself.
_GEMINI_OWN = {"functionDeclarations", "function_declarations", "computerUse", "computer_use"}
#: Fields by which a request lets the provider search, connect or summarise by itself.
_BY_FIELD = ("web_search_options", "search_parameters", "plugins", "mcp_servers", "connectors")
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,40}", re.IGNORECASE)


@dataclass(slots=True)
class HostedTools:
    """What the tools of one request can add to its bill.

    :param runs: how often they run at most; after each the model is asked again, with all that came before.
    :param longer: whether each of these rounds may be as long as the request's limit allows.
    :param charges: what their runs are billed as, by component.
    :param unlimited: the tools, or fields, that no number limits.
    """

    runs: int = 0
    longer: bool = False
    charges: dict[str, int] = field(default_factory=dict)
    unlimited: list[str] = field(default_factory=list)


def hosted_tools(body: Mapping[str, object], model: str) -> HostedTools:
    """Every tool of the request that the provider runs."""
    found = HostedTools()
    found.unlimited += [name for name in _BY_FIELD if body.get(name)]
    if _compacts(body):
        found.unlimited.append("compaction")
    most = body.get("max_tool_calls")
    for tool in _tools(body):
        kind = tool.get("type")
        if isinstance(kind, str):
            _add_typed(found, kind, tool, most)
        else:
            _add_gemini(found, tool, model)
    return found


def _tools(body: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    tools = body.get("tools")
    for tool in tools if isinstance(tools, list | tuple) else ():
        if isinstance(tool, Mapping):
            yield tool


def _add_typed(found: HostedTools, kind: str, tool: Mapping[str, object], most: object) -> None:
    if _APPS_OWN.match(kind):
        return
    anthropic, uses = _ANTHROPIC.match(kind), _positive(tool.get("max_uses"))
    openai, calls = _OPENAI.match(kind), _positive(most)
    if anthropic and uses is not None:
        found.runs += uses
        found.longer = True
        found.charges[_ANTHROPIC_CHARGES[anthropic[1]]] = uses
    elif openai and calls is not None:
        # One number for all of them: any of them may take it whole.
        found.runs = max(found.runs, calls)
        found.charges[_OPENAI_CHARGES[openai[1]]] = calls
    else:
        found.unlimited.append(kind if _WORD.fullmatch(kind) else "a tool")


def _add_gemini(found: HostedTools, tool: Mapping[str, object], model: str) -> None:
    for name in tool:
        if name in ("googleSearch", "google_search") and re.search(r"gemini-[12]\b", model):
            # Billed once for a prompt, and what was found is not billed as input.
            found.charges["grounding_request"] = 1
        elif _is_gemini_tool(name) and name not in _GEMINI_OWN:
            found.unlimited.append(name)


def _is_gemini_tool(name: str) -> bool:
    return name.replace("_", "").lower() in _GEMINI_TOOLS


#: Other keys belong to a function of an SDK's own form, such as Anthropic's ``name`` and ``input_schema``.
_GEMINI_TOOLS = {
    "googlesearch",
    "googlesearchretrieval",
    "enterprisewebsearch",
    "googlemaps",
    "urlcontext",
    "codeexecution",
    "filesearch",
    "retrieval",
    "mcpservers",
}


def _compacts(body: Mapping[str, object]) -> bool:
    """Whether the provider may summarise the conversation, which is billed on top."""
    management = body.get("context_management")
    edits = management.get("edits") if isinstance(management, Mapping) else management
    for edit in edits if isinstance(edits, list | tuple) else ():
        if isinstance(edit, Mapping) and str(edit.get("type", "")).startswith("compact"):
            return True
    return False


def _positive(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 10_000 else None
