//! What an image of a request counts as: where it is, how large it is, how closely it is looked at.

mod formula; // tokens by size
mod size; //    the size from an image's first bytes

use serde_json::{Map, Value};

use super::base64::{Decoded, data_url};

pub use formula::Detail;
pub(super) use formula::{Image, Patches, Tiles};

/// Where a part of a request has its image, by the names of the APIs that speak like this one: a URL, an
/// object with one, or Base64.
const PLACES: [&str; 5] = ["image_url", "image", "source", "result", "image_file"];

/// The tokens of a part that holds an image. One that is not in the request, but at an address or in a
/// file of the account, counts as the largest that there can be.
pub(super) fn part(image: &Image, part: &Map<String, Value>) -> u64 {
    let place = PLACES.iter().find_map(|place| part.get(*place));
    let detail = match place {
        Some(Value::Object(fields)) => fields.get("detail").or_else(|| part.get("detail")),
        _ => part.get("detail"),
    };
    let detail = detail.and_then(Value::as_str);
    let detail = detail.map_or_else(Detail::default, Detail::named);
    let data = match place {
        Some(Value::Object(fields)) => ["url", "data", "image_url"]
            .iter()
            .find_map(|name| fields.get(*name)?.as_str()),
        Some(other) => other.as_str(),
        None => None,
    };
    image.tokens(data.and_then(size_of), detail)
}

/// The tokens of an image in Base64 of which nothing is said.
pub(super) fn data(image: &Image, base64: &str) -> u64 {
    image.tokens(size::size(Decoded::of(base64)), Detail::Auto)
}

/// The size of an image in a `data:` URL, or in bare Base64. An address is not asked.
fn size_of(data: &str) -> Option<(u32, u32)> {
    let base64 = data_url(data).map_or(data, |(_, base64)| base64);
    size::size(Decoded::of(base64))
}

#[cfg(test)]
mod tests;
