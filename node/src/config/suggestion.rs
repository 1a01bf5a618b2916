//! "Did you mean ...?": the known name that is nearest to a mistyped one.

/// More changes than this, or than a third of the name, is another word and not a slip.
const EDITS_MAX: usize = 4;

/// The nearest of `known`, if one is near enough to be what was meant.
pub fn nearest<'a>(mistyped: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = EDITS_MAX.min(mistyped.chars().count().div_ceil(3));
    known
        .into_iter()
        .map(|name| (edit_distance(mistyped, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions and replacements that turn one text into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, from_char) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, to_char) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(from_char != *to_char);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, distance) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("log", "log", 0)]
        {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
            assert_eq!(edit_distance(to, from), distance, "{to} {from}");
        }
    }

    #[test]
    fn a_slip_is_found_and_another_word_is_not() {
        let known = ["retention.ms", "retention.bytes", "segment.bytes"];
        assert_eq!(nearest("retention.m", known), Some("retention.ms"));
        assert_eq!(nearest("retentoin.bytes", known), Some("retention.bytes"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
    }
}
