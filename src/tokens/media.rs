//! What is not text: parts and items that hold an image, a sound or a file.

use serde_json::{Map, Value};

use super::models::Profile;
use super::{audio, files, image};

/// The tokens of a part or an item that holds something other than text, by its `type`. `None` for text,
/// and for what is not known.
pub(super) fn part(profile: &Profile, part: &Map<String, Value>) -> Option<u64> {
    let tokens = match part.get("type")?.as_str()? {
        "image_url"
        | "input_image"
        | "image"
        | "output_image"
        | "image_file"
        | "computer_screenshot"
        | "image_generation_call" => image::part(&profile.image, part),
        "input_audio" | "audio" | "output_audio" => audio::part(profile.audio, part),
        "file" | "input_file" | "document" => files::part(profile, part),
        // Not of this API, and how long they are cannot be seen.
        "input_video" | "video_url" | "video" => profile.files.unknown.into(),
        _ => return None,
    };
    Some(tokens)
}

/// The tokens of what a `data:` URL holds, that stands where it was not expected.
pub(super) fn url(profile: &Profile, kind: &str, base64: &str) -> u64 {
    match kind.split('/').next() {
        Some("image") => image::data(&profile.image, base64),
        Some("audio") => audio::data(profile.audio, base64, ""),
        _ => files::data(profile, kind, base64),
    }
}
