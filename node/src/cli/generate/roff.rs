//! Text for manual pages: what the language of their formatter would take for something else, escaped.

/// A text for a paragraph.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.lines().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        // At the beginning of a line these make it a request to the formatter.
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for character in line.chars() {
            match character {
                '\\' => out.push_str("\\(rs"),
                // Otherwise it becomes a hyphen, which no shell takes when it is copied.
                '-' => out.push_str("\\-"),
                '\'' => out.push_str("\\(aq"),
                '`' => out.push_str("\\(ga"),
                '^' => out.push_str("\\(ha"),
                '~' => out.push_str("\\(ti"),
                character => out.push(character),
            }
        }
    }
    out
}

/// Lines that stay as they are.
pub(super) fn preformatted(text: &str) -> String {
    format!(".nf\n{}\n.fi\n", escaped(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_request_is_text() {
        assert_eq!(escaped(".conf -n \\t\n'x'"), "\\&.conf \\-n \\(rst\n\\&\\(aqx\\(aq");
    }
}
