//! Every field of an error: what is shown, what is written, and what a caller gets.

use serde_json::{Map, Value};

use super::{Secrets, without};
use crate::Error;
use crate::error::ApiError;

/// The longest message of a server that is kept, in characters; the body has it as a whole.
const MAX_MESSAGE: usize = 4_000;
/// The longest code or type.
const MAX_CODE: usize = 200;

impl Secrets {
    /// Hides credentials in everything that an error holds. Its fields are read one after the
    /// other: a credential may be split over them.
    pub(in crate::client) fn hide_in_error(&self, error: &mut Error) {
        match error {
            Error::Api(error) => self.hide_in_api_error(error),
            Error::Transport { message, .. } | Error::InvalidResponse { message, .. } => {
                self.hide_in_all(&mut [message]);
                cut(message, MAX_MESSAGE);
            }
            Error::DeadlineExceeded {
                last: Some(last), ..
            } => self.hide_in_error(last),
            _ => {}
        }
    }

    pub(in crate::client) fn hide_in_api_error(&self, error: &mut ApiError) {
        let mut fields = vec![&mut error.message];
        fields.extend(error.code.as_mut());
        fields.extend(error.error_type.as_mut());
        fields.extend(error.request_id.as_mut());
        self.hide_in_all(&mut fields);
        if let Some(body) = &mut error.body {
            self.hide_in_value(body);
        }
        cut(&mut error.message, MAX_MESSAGE);
        for code in [&mut error.code, &mut error.error_type]
            .into_iter()
            .flatten()
        {
            cut(code, MAX_CODE);
        }
    }

    fn hide_in_all(&self, texts: &mut [&mut String]) {
        let read: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
        let marks = self.marks(&read);
        for (text, ranges) in texts.iter_mut().zip(marks) {
            if !ranges.is_empty() {
                **text = without(text, &ranges);
            }
        }
    }

    /// Hides credentials in all strings of JSON, names of fields included. Without recursion: a body
    /// may be nested as deep as memory holds.
    fn hide_in_value(&self, value: &mut Value) {
        let mut strings = Vec::new();
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            match value {
                Value::String(text) => strings.push(text),
                Value::Array(list) => open.extend(list.iter_mut().rev()),
                Value::Object(fields) => {
                    self.hide_in_names(fields);
                    // In their order, in which a credential may be split.
                    let mut values: Vec<&mut Value> = fields.values_mut().collect();
                    values.reverse();
                    open.append(&mut values);
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        self.hide_in_all(&mut strings);
    }

    fn hide_in_names(&self, fields: &mut Map<String, Value>) {
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        let marks = self.marks(&names);
        if marks.iter().all(Vec::is_empty) {
            return;
        }
        let all = std::mem::take(fields).into_iter().zip(marks);
        *fields = all
            .map(|((name, value), ranges)| (without(&name, &ranges), value))
            .collect();
    }
}

/// Cuts a text, and says how much is left out.
fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        let left_out = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({left_out} more bytes)"));
    }
}
