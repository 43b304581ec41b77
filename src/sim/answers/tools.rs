//! Whether a request is answered by a call of one of its tools.

use serde_json::Value;

use super::Refusal;
use super::output::Shape;

/// A tool that may be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    /// The schema of its arguments.
    pub(super) schema: Option<&'a Value>,
}

/// What the request says of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    Never,
    /// As the model likes. The simulated one calls the first tool, unless the last message brings
    /// the result of a call: so an agent's loop has one call, and ends.
    Free,
    Always,
    Named(&'a str),
}

/// The call to answer with, if any.
pub(super) fn call(
    tools: &[Tool<'_>],
    choice: Choice<'_>,
    has_result: bool,
) -> Result<Option<Shape>, Refusal> {
    let tool = match choice {
        Choice::Never => None,
        Choice::Free if has_result => None,
        Choice::Free => tools.first(),
        Choice::Always => Some(tools.first().ok_or_else(no_tools)?),
        Choice::Named(name) => {
            let named = tools.iter().find(|tool| tool.name == name);
            Some(named.ok_or_else(no_tools)?)
        }
    };
    Ok(tool.map(|tool| Shape::Call {
        name: tool.name.to_owned(),
        schema: tool.schema.cloned().unwrap_or_default(),
    }))
}

fn no_tools() -> Refusal {
    Refusal::invalid("tool_choice", "the name of one of the 'tools'")
}

/// A choice as OpenAI writes it; `name` is where the name of a function stands in an object.
pub(super) fn choice<'a>(value: Option<&'a Value>, name: &str) -> Result<Choice<'a>, Refusal> {
    match value {
        None => Ok(Choice::Free),
        Some(Value::String(word)) => match word.as_str() {
            "none" => Ok(Choice::Never),
            "auto" => Ok(Choice::Free),
            "required" | "any" => Ok(Choice::Always),
            _ => Err(unknown_choice()),
        },
        Some(value) => {
            let named = value.pointer(name).and_then(Value::as_str);
            named.map(Choice::Named).ok_or_else(unknown_choice)
        }
    }
}

fn unknown_choice() -> Refusal {
    Refusal::invalid(
        "tool_choice",
        "\"none\", \"auto\", \"required\", or a function",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_choice_decides_and_results_end_the_loop() {
        let tools = ["look", "jump"].map(|name| Tool { name, schema: None });
        let none: [Tool<'_>; 0] = [];
        type Row<'a> = (
            &'a [Tool<'a>],
            Choice<'a>,
            bool,
            Result<Option<&'a str>, ()>,
        );
        // tools, choice, whether a result was brought, the tool that is called
        let table: [Row<'_>; 9] = [
            (&tools, Choice::Free, false, Ok(Some("look"))),
            (&tools, Choice::Free, true, Ok(None)),
            (&tools, Choice::Never, false, Ok(None)),
            (&tools, Choice::Always, true, Ok(Some("look"))),
            (&tools, Choice::Named("jump"), true, Ok(Some("jump"))),
            (&tools, Choice::Named("run"), false, Err(())),
            (&none, Choice::Free, false, Ok(None)),
            (&none, Choice::Never, false, Ok(None)),
            (&none, Choice::Always, false, Err(())),
        ];
        for (step, (tools, choice, has_result, expected)) in table.into_iter().enumerate() {
            let found = call(tools, choice, has_result).map_err(|_| ());
            let found = found.map(|shape| match shape {
                Some(Shape::Call { name, .. }) => Some(name),
                _ => None,
            });
            assert_eq!(
                found,
                expected.map(|it| it.map(str::to_owned)),
                "step {step}"
            );
        }
    }

    #[test]
    fn choices_are_words_or_name_a_function() {
        let named = json!({"type": "function", "function": {"name": "look"}});
        let table = [
            (None, Ok(Choice::Free)),
            (Some(json!("none")), Ok(Choice::Never)),
            (Some(json!("required")), Ok(Choice::Always)),
            (Some(named), Ok(Choice::Named("look"))),
            (Some(json!("maybe")), Err(())),
            (Some(json!({"type": "function"})), Err(())),
            (Some(json!(7)), Err(())),
        ];
        for (step, (value, expected)) in table.iter().enumerate() {
            let found = choice(value.as_ref(), "/function/name").map_err(|_| ());
            assert_eq!(found, *expected, "step {step}");
        }
    }
}
