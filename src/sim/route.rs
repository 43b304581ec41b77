//! Where a request goes, by its method and path.

use super::answers::Endpoint;
use super::errors::Refusal;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Models,
    /// One model, by its name.
    Model(&'a str),
    Limited {
        endpoint: Endpoint,
        /// The model that the path names, as Azure's do.
        deployment: Option<&'a str>,
    },
}

/// Roots of the same API: OpenAI's, Azure's newer one, Groq's, and Gemini's OpenAI-like one.
const ROOTS: [&str; 3] = ["/v1/", "/openai/v1/", "/v1beta/openai/"];

/// Endpoints that the API has and that are not simulated.
const NOT_SIMULATED: [&str; 14] = [
    "assistants",
    "audio",
    "batches",
    "chat/completions/",
    "containers",
    "conversations",
    "files",
    "fine_tuning",
    "images",
    "messages/",
    "realtime",
    "responses/",
    "threads",
    "vector_stores",
];

/// The route of a path without its query.
pub(super) fn route<'a>(method: &str, path: &'a str) -> Result<Route<'a>, Refusal> {
    let (rest, deployment) = split(path).ok_or_else(|| Refusal::unknown_url(method, path))?;
    let limited = |endpoint| Route::Limited {
        endpoint,
        deployment,
    };
    let (route, allowed) = match rest {
        "models" => (Route::Models, "GET"),
        "chat/completions" => (limited(Endpoint::Chat), "POST"),
        "completions" => (limited(Endpoint::Completion), "POST"),
        "embeddings" => (limited(Endpoint::Embeddings), "POST"),
        "messages" => (limited(Endpoint::Messages), "POST"),
        "moderations" => (limited(Endpoint::Moderations), "POST"),
        "responses" => (limited(Endpoint::Responses), "POST"),
        _ => match rest.strip_prefix("models/") {
            Some(name) if !name.is_empty() => (Route::Model(name), "GET"),
            _ if NOT_SIMULATED.iter().any(|it| rest.starts_with(it)) => {
                return Err(Refusal::not_simulated(method, path));
            }
            _ => return Err(Refusal::unknown_url(method, path)),
        },
    };
    if method != allowed {
        return Err(Refusal::wrong_method(method, path, allowed));
    }
    Ok(route)
}

/// What follows the root, and the deployment that the path names.
fn split(path: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let (name, rest) = rest.split_once('/')?;
        return (!name.is_empty()).then_some((rest, Some(name)));
    }
    let rest = ROOTS.iter().find_map(|root| path.strip_prefix(root))?;
    Some((rest, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_kind_lead_to_the_same_endpoints() {
        let chat = |deployment| {
            Ok(Route::Limited {
                endpoint: Endpoint::Chat,
                deployment,
            })
        };
        let table = [
            ("POST", "/v1/chat/completions", chat(None)),
            ("POST", "/openai/v1/chat/completions", chat(None)),
            ("POST", "/v1beta/openai/chat/completions", chat(None)),
            (
                "POST",
                "/openai/deployments/mine/chat/completions",
                chat(Some("mine")),
            ),
            ("GET", "/v1/chat/completions", Err(405)),
            ("POST", "/openai/deployments//chat/completions", Err(404)),
            ("POST", "/openai/deployments/mine", Err(404)),
            ("GET", "/v1/models", Ok(Route::Models)),
            ("GET", "/v1/models/a/b", Ok(Route::Model("a/b"))),
            ("GET", "/v1/models/", Err(404)),
            ("POST", "/v1/audio/speech", Err(404)),
            ("POST", "/chat/completions", Err(404)),
        ];
        for (method, path, expected) in table {
            let found = route(method, path).map_err(|refusal| refusal.status);
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
