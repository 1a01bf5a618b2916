//! Which build of this program measured.

use serde::Serialize;

/// The harness itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Harness {
    /// Version of the package.
    pub(crate) version: String,
    /// The commit that it was built from; `None` if it was built without git.
    pub(crate) commit: Option<String>,
    /// Whether the sources differed from that commit.
    pub(crate) is_dirty: bool,
}

impl Harness {
    /// What the build script wrote into this program.
    pub(crate) fn of_this_program() -> Self {
        let commit = env!("RINGMAIN_BENCH_COMMIT");
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: (!commit.is_empty()).then(|| commit.to_owned()),
            is_dirty: env!("RINGMAIN_BENCH_DIRTY") == "true",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_a_hash() {
        let harness = Harness::of_this_program();
        assert!(!harness.version.is_empty());
        let is_hash = |commit: &String| commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(harness.commit.as_ref().is_none_or(is_hash), "{:?}", harness.commit);
    }
}
