//! Which models are the same to a limit.

/// The model whose limits a name falls under: dated snapshots and fine-tunes share the limits of
/// the model that they come from.
///
/// ```
/// use paceline::base_model;
///
/// assert_eq!(base_model("gpt-4o-mini-2024-07-18"), "gpt-4o-mini");
/// assert_eq!(base_model("ft:gpt-4o-mini-2024-07-18:acme::B4x"), "gpt-4o-mini");
/// assert_eq!(base_model("gpt-3.5-turbo-0125"), "gpt-3.5-turbo");
/// assert_eq!(base_model("my-model"), "my-model");
/// ```
#[must_use]
pub fn base_model(name: &str) -> &str {
    let name = name.trim();
    let base = match name.strip_prefix("ft:") {
        Some(tuned) => tuned.split(':').next().unwrap_or(tuned),
        None => name,
    };
    strip_date(base).unwrap_or(base)
}

/// The name without a snapshot's date: `-2024-07-18`, or the older four-digit `-0613`.
fn strip_date(name: &str) -> Option<&str> {
    let stripped = ["-dddd-dd-dd", "-dddd"]
        .into_iter()
        .find_map(|pattern| strip_suffix_like(name, pattern))?;
    (!stripped.is_empty()).then_some(stripped)
}

/// Strips a suffix of the shape of `pattern`, where `d` stands for a digit.
fn strip_suffix_like<'a>(name: &'a str, pattern: &str) -> Option<&'a str> {
    let (stem, suffix) = name.split_at_checked(name.len().checked_sub(pattern.len())?)?;
    suffix
        .bytes()
        .zip(pattern.bytes())
        .all(|(byte, like)| match like {
            b'd' => byte.is_ascii_digit(),
            _ => byte == like,
        })
        .then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_under_their_base_model() {
        let table = [
            ("gpt-4.1", "gpt-4.1"),
            ("gpt-4.1-2025-04-14", "gpt-4.1"),
            ("gpt-4.1-mini", "gpt-4.1-mini"),
            ("ft:gpt-4o-mini:org:name:id", "gpt-4o-mini"),
            ("ft:gpt-4o-mini", "gpt-4o-mini"),
            ("ft:", ""),
            (" gpt-4o ", "gpt-4o"),
            ("gpt-4-0613", "gpt-4"),
            ("-2024-07-18", "-2024-07-18"),
            ("gpt-4o-2024-7-18", "gpt-4o-2024-7-18"),
            ("modèle-é024", "modèle-é024"),
            ("", ""),
        ];
        for (step, (name, base)) in table.into_iter().enumerate() {
            assert_eq!(base_model(name), base, "step {step}");
        }
    }
}
