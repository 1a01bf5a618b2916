//! Names that others chose, as a terminal can show them.

/// A name as a terminal can show it: control characters, which some names have, as escapes.
pub(crate) fn printable(name: &str) -> String {
    if !name.chars().any(char::is_control) {
        return name.to_owned();
    }
    let escaped = |character: char| match character {
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    };
    name.chars().map(escaped).collect()
}
