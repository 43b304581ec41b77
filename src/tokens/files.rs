//! What a file of a request counts as. An estimate: providers do not document how servers read files.

use serde_json::{Map, Value};

use super::base64::{data_url, length};
use super::image::Detail;
use super::models::Profile;

/// Of a page that is shown as an image, in pixels: large, and 1 : √2 as a sheet of A4.
const PAGE: (u32, u32) = (1_024, 1_448);
/// How a PDF begins, in Base64.
const PDF: &str = "JVBERi";

/// The tokens of a part that holds a file: by its length if it is in the request, else
/// what the table says of one that is not.
pub(super) fn part(profile: &Profile, part: &Map<String, Value>) -> u64 {
    let inner = ["file", "source"]
        .iter()
        .find_map(|name| part.get(*name)?.as_object());
    let fields = inner.unwrap_or(part);
    let word = |name| fields.get(name).and_then(Value::as_str);
    let data = ["file_data", "data"].into_iter().find_map(word);
    let Some(data) = data.filter(|data| !data.is_empty()) else {
        return profile.files.unknown.into();
    };
    let named = word("filename").is_some_and(|name| {
        let ending = name.rsplit('.').next();
        ending.is_some_and(|ending| ending.eq_ignore_ascii_case("pdf"))
    });
    let (kind, base64) = data_url(data).unwrap_or((word("media_type").unwrap_or_default(), data));
    match named {
        true => self::data(profile, "application/pdf", base64),
        false => self::data(profile, kind, base64),
    }
}

/// The tokens of a file in Base64, of this media type.
pub(super) fn data(profile: &Profile, kind: &str, base64: &str) -> u64 {
    let (files, bytes) = (profile.files, length(base64));
    if kind.starts_with("application/pdf") || base64.starts_with(PDF) {
        let pages = bytes.div_ceil(files.bytes_per_page.get().into()).max(1);
        let image = profile.image.tokens(Some(PAGE), Detail::High);
        return pages.saturating_mul(image.saturating_add(files.page.into()));
    }
    bytes.div_ceil(files.bytes_per_token.get().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::ModelTable;
    use crate::tokens::base64::encoded;
    use serde_json::json;

    #[test]
    fn files_count_by_their_pages_or_their_bytes() {
        let profile = ModelTable::global().profile("gpt-4o");
        // A page's text, and an image of two by three tiles.
        let page = 800 + 85 + 6 * 170;
        let pdf = encoded(&[b"%PDF-1.7\n", &[0; 99_991][..]].concat());
        let text = encoded(&[b'x'; 300]);
        let unknown = u64::from(profile.files.unknown);
        let table = [
            (
                json!({ "file": { "file_data": format!("data:application/pdf;base64,{pdf}") } }),
                2 * page,
            ),
            (json!({ "file": { "file_data": pdf } }), 2 * page),
            (
                json!({ "file": { "file_data": text, "filename": "a.PDF" } }),
                page,
            ),
            (
                json!({ "file_data": format!("data:text/plain;base64,{text}"), "filename": "pdf.txt" }),
                100,
            ),
            (
                json!({ "source": { "data": text, "media_type": "application/pdf" } }),
                page,
            ),
            (
                json!({ "source": { "data": text, "media_type": "text/plain" } }),
                100,
            ),
            (json!({ "file": { "file_id": "file-1" } }), unknown),
            (json!({ "file_url": "https://example.com/a.pdf" }), unknown),
            (json!({ "file": { "file_data": "" } }), unknown),
            (json!({ "file": 5 }), unknown),
        ];
        for (step, (body, tokens)) in table.into_iter().enumerate() {
            assert_eq!(
                part(&profile, body.as_object().unwrap()),
                tokens,
                "step {step}"
            );
        }
    }
}
