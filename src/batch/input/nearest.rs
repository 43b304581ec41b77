//! The name that is nearest to one that there is not.

/// Letters that may be wrong, at most.
const MOST_WRONG: usize = 2;
/// Longer names are compared as they stand: the work grows with the square of their length.
const LONGEST: usize = 64;

/// The name that was most likely meant: the same but for case, spaces and marks, or at most two
/// letters off, if that is at most half of it.
pub(super) fn nearest<'a>(meant: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = MOST_WRONG.min(meant.chars().count() / 2);
    let near = names.filter_map(|name| {
        let wrong = match plain(name) == plain(meant) {
            true => 0,
            false => distance(meant, name),
        };
        (wrong <= most).then_some((wrong, name))
    });
    near.min_by_key(|(wrong, _)| *wrong).map(|(_, name)| name)
}

/// Letters and digits alone, in lower case.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// How many letters have to be added, left out or changed.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    if from.len().max(to.len()) > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_by_its_letters() {
        let names = ["id", "Review Text", "kind", " text"];
        for (meant, expected) in [
            ("txt", None), // "text" is not there, but with a space
            ("text", Some(" text")),
            ("review_text", Some("Review Text")),
            ("kinds", Some("kind")),
            ("ID", Some("id")),
            ("x", None),
            ("", None),
        ] {
            let found = nearest(meant, names.into_iter());
            assert_eq!(found, expected, "{meant}");
        }
        assert_eq!(nearest("txt", ["text", "id"].into_iter()), Some("text"));
        assert_eq!(
            nearest("sumary", ["id", "summary"].into_iter()),
            Some("summary")
        );
    }
}
