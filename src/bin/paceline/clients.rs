//! Clients of `paceline serve`: the tables `[[client]]` of its configuration.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use paceline::gateway::GatewayClient;
use paceline::{Priority, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::mistake;

/// The name of their tables.
pub(crate) const TABLE: &str = "client";

/// The clients of a file. Its flags are read elsewhere.
pub(crate) fn clients(path: &Path) -> Result<Vec<GatewayClient>> {
    let file = path.display();
    let text =
        fs::read_to_string(path).map_err(|error| mistake(format!("--config {file}: {error}")))?;
    let table = DeTable::parse(&text)
        .map_err(|error| mistake(format!("--config {file}: {}", error.message())))?;
    let Some(tables) = table.get_ref().get(TABLE) else {
        return Ok(Vec::new());
    };
    let place = |span: Range<usize>| {
        let before = text.get(..span.start).unwrap_or_default();
        format!("--config {file}:{}", before.matches('\n').count() + 1)
    };
    let wrong = |span, message: String| mistake(format!("{}: {message}", place(span)));
    let DeValue::Array(tables) = tables.get_ref() else {
        let message = "clients stand in tables: [[client]]".to_owned();
        return Err(wrong(tables.span(), message));
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let clients = tables.iter().map(|table| {
        let client = client(table, folder);
        client.map_err(|(span, message)| wrong(span, message))
    });
    clients.collect()
}

/// One client, or where and what is wrong with it.
fn client(
    table: &Spanned<DeValue<'_>>,
    folder: &Path,
) -> Result<GatewayClient, (Range<usize>, String)> {
    let wrong = |message: &str| (table.span(), message.to_owned());
    let DeValue::Table(fields) = table.get_ref() else {
        return Err(wrong("clients stand in tables: [[client]]"));
    };
    let mut values = [None; 4];
    const NAMES: [&str; 4] = ["name", "key_sha256", "key_file", "priority"];
    for (name, value) in fields {
        let at = NAMES.iter().position(|known| known == name.get_ref());
        let Some(at) = at else {
            let message = format!("a client has no {:?}: {}", name.get_ref(), NAMES.join(", "));
            return Err((name.span(), message));
        };
        let DeValue::String(text) = value.get_ref() else {
            return Err((value.span(), format!("{} has to be a string", NAMES[at])));
        };
        values[at] = Some((&**text, value.span().start));
    }
    let [name, hash, file, priority] = values;
    let (name, _) = name.ok_or_else(|| wrong("a client needs a name"))?;
    let client = match (hash, file) {
        (Some((hash, at)), None) => GatewayClient::with_key_sha256(name, hash)
            .map_err(|error| (at..at, error.to_string()))?,
        (None, Some((file, at))) => {
            let path = folder.join(PathBuf::from(file));
            let key = fs::read_to_string(&path)
                .map_err(|error| (at..at, format!("key_file {}: {error}", path.display())))?;
            if key.trim().is_empty() {
                return Err((at..at, format!("key_file {}: it is empty", path.display())));
            }
            GatewayClient::with_key(name, &key)
        }
        _ => return Err(wrong("a client needs key_sha256 or key_file")),
    };
    Ok(match priority {
        None => client,
        Some(("interactive", _)) => client.priority(Priority::Interactive),
        Some(("batch", _)) => client.priority(Priority::Batch),
        Some((_, at)) => {
            let message = "priority has to be interactive or batch".to_owned();
            return Err((at..at, message));
        }
    })
}
