//! `/proc`, `/sys` and `/etc`, of this machine or of one that was recorded below another root.

use std::fs;
use std::path::{Path, PathBuf};

/// Reads small files of the system. What is not there, or must not be read, is `None`: each check says what that means.
#[derive(Debug, Clone)]
pub(in crate::cli) struct SystemFiles {
    root: PathBuf,
}

impl SystemFiles {
    /// The files below `root`; of this machine when that is `/`.
    pub(in crate::cli) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where a file is: `proc/stat` for `/proc/stat`.
    pub(in crate::cli) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The whole text, without the blanks around it.
    pub(in crate::cli) fn text(&self, relative: &str) -> Option<String> {
        let bytes = fs::read(self.path(relative)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// A file that holds one number.
    pub(super) fn number(&self, relative: &str) -> Option<u64> {
        self.text(relative)?.parse().ok()
    }

    /// The names in a folder, in order; none where there is no such folder.
    pub(super) fn names(&self, relative: &str) -> Vec<String> {
        names_in(&self.path(relative))
    }
}

/// The names in a folder, in order.
pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The text of a file, without the blanks around it.
pub(super) fn text_of(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The one in brackets: `mq-deadline` of `none [mq-deadline] kyber`. Some kernels write the only one without.
pub(super) fn chosen(names: &str) -> &str {
    let bracketed = names.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    bracketed.map_or(names, |(name, _)| name)
}

/// A list as the kernel writes it: `0-3,8` is 0, 1, 2, 3 and 8.
pub(super) fn number_list(text: &str) -> Vec<usize> {
    /// More than any machine has; a damaged list must not take all memory.
    const NUMBERS_MAX: usize = 1 << 16;
    let ranges = text.split(',').filter_map(|part| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().take(NUMBERS_MAX).collect()
}

/// The value behind a name in a file of lines `Name: value`.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choices_are_read_as_the_kernel_writes_them() {
        assert_eq!(number_list("0-3,8"), [0, 1, 2, 3, 8]);
        assert_eq!(number_list("5"), [5]);
        assert_eq!(number_list(""), [0; 0]);
        assert_eq!(chosen("none [mq-deadline] kyber"), "mq-deadline");
        assert_eq!(chosen("none"), "none");
        assert_eq!(field("A:\t1\nSeccomp:\t2\n", "Seccomp"), Some("2"));
        assert_eq!(field("Seccomp_filters:\t2\n", "Seccomp"), None);
    }
}
