//! Words of every provider that say how an answer ended.

/// Items of a response that are on the way to an answer and none themselves.
pub(super) const STEPS: [&[u8]; 5] = [
    b"reasoning",
    b"web_search_call",
    b"file_search_call",
    b"mcp_list_tools",
    b"compaction",
];

pub(super) const CUT_OFF: [&[u8]; 8] = [
    b"length",
    b"max_tokens",
    b"max_output_tokens",
    // Mistral's, Anthropic's, DeepSeek's
    b"model_length",
    b"model_context_window_exceeded",
    b"insufficient_system_resource",
    // vLLM's and SGLang's
    b"abort",
    b"repetition",
];

pub(super) const REFUSED: [&[u8]; 9] = [
    b"content_filter",
    b"content_filtered",
    b"refusal",
    b"guardrail_intervened",
    // Gemini's
    b"safety",
    b"recitation",
    b"prohibited_content",
    b"blocklist",
    b"spii",
];
