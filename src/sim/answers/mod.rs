//! Reading what a request asks for, and making up an answer in the API's shape.

mod chat; //       /v1/chat/completions, whole and streamed
mod completion; // /v1/completions
mod embeddings; // /v1/embeddings
mod fields; //     reading fields of a body
mod hints; //      what the last message says literally
mod logprobs; //   how probable each token was
mod messages; //   /v1/messages
mod moderations; // /v1/moderations
mod output; //     what one answer says
mod responses; //  /v1/responses
mod schema; //     a value that satisfies a JSON Schema
mod tools; //      whether a tool is called
mod words; //      text of a given number of tokens

use serde_json::Value;

use super::SimConfig;
use super::charge::charge;
use super::config::{Charging, Dialect, Said};
use super::draw::Draw;
use super::errors::Refusal;
use super::prompt_cache::Beginnings;
use super::response::Response;
use fields::Body;

use hints::Hints;
use output::{Output, Shape};
use words::Words;

/// The key of `metadata` that says how many tokens an answer is to have.
const LENGTH: &str = "simulated_output_tokens";

/// When every answer says that it was made: a constant, so that the same request gets the same
/// answer, byte for byte.
const CREATED: u64 = 1_700_000_000;

/// Most pieces that a streamed answer comes in.
const MOST_PIECES: u64 = 64;

/// The endpoints that are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completion,
    Embeddings,
    Messages,
    Moderations,
    Responses,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) model: String,
    /// The count or estimate, which the answer's usage repeats.
    prompt_tokens: u64,
    /// Output cap of one answer.
    cap: Option<u64>,
    /// Answers that are charged.
    charged: u64,
    /// Answers that are given.
    choices: u64,
    /// What each of them is.
    shape: Shape,
    /// What values of a schema may be taken from.
    hints: Hints,
    /// How many alternatives to show for each token; none are shown unless they are asked for.
    logprobs: Option<u64>,
    /// Tokens of each, where the request says so.
    length: Option<u64>,
    form: Form,
    /// Where a prompt cache is simulated.
    beginnings: Beginnings,
    /// Tokens of the prompt that are cached.
    pub(super) cached: u64,
    /// Whether it takes capacity only when there is some to spare.
    pub(super) is_flex: bool,
}

impl Asked {
    fn new(model: String, form: Form) -> Self {
        Self {
            model,
            prompt_tokens: 0,
            cap: None,
            charged: 0,
            choices: 0,
            shape: Shape::Words,
            hints: Hints::default(),
            logprobs: None,
            length: None,
            form,
            beginnings: Beginnings::default(),
            cached: 0,
            is_flex: false,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Chat,
    ChatStream {
        include_usage: bool,
    },
    Completion,
    CompletionStream {
        include_usage: bool,
    },
    Responses,
    ResponsesStream,
    Messages {
        stream: bool,
    },
    /// One fingerprint for each input.
    Embeddings {
        inputs: Vec<u64>,
        base64: bool,
        dimensions: u64,
    },
    Moderations {
        inputs: usize,
    },
}

impl Asked {
    /// Reads a request's body; `deployment` is the model that its path names, which counts unless
    /// the body names one.
    pub(super) fn read(
        endpoint: Endpoint,
        deployment: Option<&str>,
        body: &[u8],
        config: &SimConfig,
    ) -> Result<Self, Refusal> {
        let counter = config.charging.counter.as_ref();
        let body: Value = serde_json::from_slice(body).map_err(|_| Refusal::malformed_json())?;
        let Value::Object(mut body) = body else {
            return Err(Refusal::malformed_json());
        };
        if let Some(model) = deployment {
            body.entry("model").or_insert_with(|| model.into());
        }
        refuse_fields(&body, config.dialect)?;
        let mut asked = match endpoint {
            Endpoint::Chat => chat::read(&body, counter),
            Endpoint::Completion => completion::read(&body, counter),
            Endpoint::Embeddings => embeddings::read(&body, counter),
            Endpoint::Messages => messages::read(&body, counter),
            Endpoint::Moderations => moderations::read(&body, counter),
            Endpoint::Responses => responses::read(&body, counter),
        }?;
        asked.length = length(&body);
        if asked.shape != Shape::Words {
            let list = body.get("messages").or_else(|| body.get("input"));
            let last = match list {
                Some(Value::Array(messages)) => messages.last().and_then(|it| it.get("content")),
                other => other,
            };
            asked.hints = Hints::of(last);
        }
        asked.is_flex = body.get("service_tier").is_some_and(|tier| tier == "flex");
        if config.prompt_cache {
            let parts = [
                "system",
                "instructions",
                "tools",
                "messages",
                "input",
                "prompt",
            ];
            let prompt = parts.into_iter().filter_map(|name| body.get(name));
            let prompt: String = prompt.map(ToString::to_string).collect();
            asked.beginnings = Beginnings::of(&asked.model, &prompt);
        }
        Ok(asked)
    }

    /// The tokens of its prompt, and what a prompt cache goes by.
    pub(super) fn prompt(&self) -> (&Beginnings, u64) {
        (&self.beginnings, self.prompt_tokens)
    }

    /// What it costs of a limit on tokens.
    pub(super) fn charge(&self, charging: &Charging) -> u64 {
        charge(charging, self.prompt_tokens, self.cap, self.charged)
    }

    /// The answer, which depends on the settings, the draw and what a test has written alone, and the
    /// tokens that its usage says.
    pub(super) fn answer(
        &self,
        config: &SimConfig,
        mut draw: Draw,
        said: &Said,
    ) -> (Response, u64) {
        let id = format!("{:016x}", draw.next());
        let wished = self.length.map(|length| length..=length);
        let lengths = wished.as_ref().or(config.output_tokens.as_ref());
        let outputs: Vec<Output> = (0..self.choices)
            .map(|_| {
                let drawn = || Output::draw(&self.shape, &self.hints, &mut draw, self.cap, lengths);
                Output::scripted(said, self.cap).unwrap_or_else(drawn)
            })
            .collect();
        let output: u64 = outputs.iter().map(Output::tokens).sum();
        let answer = match &self.form {
            Form::Chat => chat::answer(self, &id, &outputs),
            Form::ChatStream { include_usage } => chat::stream(self, &id, &outputs, *include_usage),
            Form::Completion => completion::answer(self, &id, &outputs),
            Form::CompletionStream { include_usage } => {
                completion::stream(self, &id, &outputs, *include_usage)
            }
            Form::Responses => responses::answer(self, &id, &outputs),
            Form::ResponsesStream => responses::stream(self, &id, &outputs),
            Form::Messages { stream: false } => messages::answer(self, &id, &outputs),
            Form::Messages { stream: true } => messages::stream(self, &id, &outputs),
            Form::Embeddings {
                inputs,
                base64,
                dimensions,
            } => embeddings::answer(self, inputs, *dimensions, *base64, config.seed),
            Form::Moderations { inputs } => moderations::answer(self, &id, *inputs),
        };
        (answer, self.prompt_tokens.saturating_add(output))
    }
}

/// Refuses what would change the answer and is not simulated, and what the provider refuses.
fn refuse_fields(body: &Body, dialect: Dialect) -> Result<(), Refusal> {
    let is_set = |name: &str| {
        let value = body.get(name);
        value.is_some_and(|value| !value.is_null() && *value != false)
    };
    let unsimulated = [
        "audio",
        "background",
        "conversation",
        "previous_response_id",
    ];
    if let Some(name) = unsimulated.into_iter().find(|name| is_set(name)) {
        return Err(Refusal::invalid(name, "nothing: it is not simulated"));
    }
    if dialect == Dialect::Mistral && is_set("max_completion_tokens") {
        return Err(Refusal::unknown_field("max_completion_tokens"));
    }
    Ok(())
}

/// How long an answer the request wishes for. The values of `metadata` are strings in the API.
fn length(body: &Body) -> Option<u64> {
    match body.get("metadata")?.get(LENGTH)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    }
}

/// The `usage` of a chat or text completion.
fn usage(asked: &Asked, outputs: &[Output]) -> Value {
    let completion: u64 = outputs.iter().map(Output::tokens).sum();
    serde_json::json!({
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": asked.prompt_tokens.saturating_add(completion),
        "prompt_tokens_details": {"cached_tokens": asked.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
