//! The body of a response, read to its end and judged.

use std::borrow::Cow;

use crate::client::answer::{self, Body, Unreadable};
use crate::client::errors::{api_error, error_inside};
use crate::client::secrets::Secrets;
use crate::client::transport::{Answer, Transport};
use crate::error::ApiError;
use crate::providers::{Reading, quote};
use crate::tokens::Endpoint;
use crate::{Error, TransportKind};

/// What a response is read with.
pub(in crate::client) struct Context<'a> {
    pub(in crate::client) endpoint: Endpoint,
    pub(in crate::client) transport: &'a Transport,
    pub(in crate::client) secrets: &'a Secrets,
    /// Its headers.
    pub(in crate::client) heard: &'a Reading,
}

/// Why nothing was received.
pub(in crate::client) enum Unreceived {
    /// No response came, or none that can be read.
    Lost(Error),
    /// It is an error, by its status or by its body.
    Refused(Box<ApiError>),
}

impl From<Error> for Unreceived {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Unreceived> for Error {
    fn from(unreceived: Unreceived) -> Self {
        match unreceived {
            Unreceived::Lost(error) => error,
            Unreceived::Refused(error) => error.into(),
        }
    }
}

/// The longest body of an error that is kept, in bytes.
const MAX_ERROR: usize = 1024 * 1024;
/// The start of a body of which a message quotes the first words, in bytes. It is longer than what is
/// quoted by more than any key, so that no half of one is.
const START: usize = 64 * 1024;

/// Reads a response that is an error by its status.
pub(super) fn refused(answer: &mut Answer, context: &Context<'_>) -> Unreceived {
    let mut body = Vec::new();
    // A body that does not arrive leaves the status, which says enough.
    let read = answer.read_error(&mut body);
    let mut error = api_error(answer.status, context.heard, &body);
    quote_without(context.secrets, &mut error, &body);
    if let Some(redirect) = context.transport.redirect(answer) {
        error.message = redirect;
    } else if let Err(Error::InvalidResponse { message, .. }) = read {
        error.message = message;
    }
    Unreceived::Refused(Box::new(error))
}

/// Hides credentials in a message that is the beginning of the body, before it is cut: a part of one
/// at its end might be too short to be known. A body that no error needs is not kept.
pub(in crate::client) fn quote_without(secrets: &Secrets, error: &mut ApiError, body: &[u8]) {
    let start = start(body);
    if let Some(before) = error.message.strip_suffix(&quote(&start)) {
        error.message = format!("{before}{}", quote(&secrets.hide(&start)));
    }
    if body.len() > MAX_ERROR {
        error.body = None;
    }
}

/// What reads a response that is no error by its status.
pub(in crate::client) trait Receive {
    type Received;
    /// Whether more follows, so that the limiter observes the head before the rest.
    const IS_STREAM: bool;

    fn receive(
        &self,
        answer: &mut Answer,
        context: &Context<'_>,
    ) -> Result<Self::Received, Unreceived>;
}

/// Reads it to its end.
pub(in crate::client) struct Whole<'a> {
    /// Called with the bytes held, before the body is read and after each piece of it. May wait.
    pub(in crate::client) holds: &'a dyn Fn(usize),
}

impl Default for Whole<'_> {
    fn default() -> Self {
        Self { holds: &|_| {} }
    }
}

impl Receive for Whole<'_> {
    type Received = Body;
    const IS_STREAM: bool = false;

    fn receive(&self, answer: &mut Answer, context: &Context<'_>) -> Result<Body, Unreceived> {
        whole(answer, context, self.holds)
    }
}

fn whole(
    answer: &mut Answer,
    context: &Context<'_>,
    holds: &dyn Fn(usize),
) -> Result<Body, Unreceived> {
    let Context {
        endpoint,
        transport: _,
        secrets,
        heard,
    } = *context;
    let mut bytes = Vec::new();
    let reads_on = |bytes| {
        holds(bytes);
        true
    };
    if let Err(mut error) = answer.read(&mut bytes, &reads_on) {
        let lost = match &mut error {
            Error::DeadlineExceeded {
                last: Some(last), ..
            } => last,
            error => error,
        };
        if let Error::Transport { message, .. } = lost
            && !bytes.is_empty()
        {
            let begins = quote(&secrets.hide(&start(&bytes)));
            message.push_str(&format!(" after {} bytes: {begins}", bytes.len()));
        }
        return Err(error.into());
    }
    if bytes.is_empty() && matches!(answer.status, 204 | 205) {
        return match endpoint {
            Endpoint::Other => Ok(Body::empty()),
            _ => {
                let message = format!("status {} without a body", answer.status);
                Err(invalid(answer, message).into())
            }
        };
    }
    let length = bytes.len();
    // Before it is cut: half of a key is one, too.
    let quoted = |text: &str| quote(&secrets.hide(&start(text.as_bytes())));
    match answer::read(endpoint, bytes) {
        Ok(Body {
            fault: Some(fault),
            text,
            ..
        }) => {
            let mut error = error_inside(answer.status, heard, &text, fault);
            quote_without(secrets, &mut error, text.as_bytes());
            Err(Unreceived::Refused(Box::new(error)))
        }
        Ok(mut body) => {
            secrets.hide_exact(&mut body.text);
            Ok(body)
        }
        Err(Unreadable::EndsEarly(text)) => Err(Unreceived::Lost(Error::Transport {
            url: answer.url(),
            kind: TransportKind::Disconnected,
            message: match length {
                0 => "the response has no body".to_owned(),
                _ => format!(
                    "the response breaks off after {length} bytes: {}",
                    quoted(&text)
                ),
            },
            unsent: false,
            source: None,
        })),
        Err(Unreadable::NotJson(text)) => {
            let what = match text.trim_start().starts_with('<') {
                true => "a page",
                false => "text",
            };
            let message = format!("{what} where JSON is due: {}", quoted(&text));
            Err(invalid(answer, message).into())
        }
    }
}

/// What a message can quote of a body. Of a long one no copies are made.
fn start(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(START)])
}

pub(super) fn invalid(answer: &Answer, message: String) -> Error {
    Error::InvalidResponse {
        url: answer.url(),
        message,
    }
}
