//! What a check says: a verdict, and with its name and reason a finding.

/// How well it is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// Nothing to do.
    Ok,
    /// It works, and would work better, or safer, otherwise.
    Advice,
    /// A node does not start, serves nobody, or may lose what it acknowledged.
    Problem,
}

impl Status {
    /// As scripts compare it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Problem => "problem",
        }
    }
}

/// A setting of the system that a file can hold, for `--fix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    /// A line of sysctl.d: name and value.
    Sysctl(&'static str, String),
    /// A line of udev's rules.
    Udev(String),
}

/// What a check says of what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) found: String,
    /// Instead of the reason that the table gives.
    pub(super) why: Option<String>,
    /// The command that mends it.
    pub(super) remedy: Option<String>,
    pub(super) settings: Vec<Setting>,
}

impl Verdict {
    pub(super) fn ok(found: impl Into<String>) -> Self {
        Self { status: Status::Ok, found: found.into(), why: None, remedy: None, settings: Vec::new() }
    }

    pub(super) fn advice(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Advice, remedy: Some(remedy.into()), ..Self::ok(found) }
    }

    pub(super) fn problem(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { status: Status::Problem, ..Self::advice(found, remedy) }
    }

    pub(super) fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    pub(super) fn mended_by(mut self, setting: Setting) -> Self {
        self.settings.push(setting);
        self
    }

    /// A kernel setting that should have another value; the remedy is the command.
    pub(super) fn sysctl(
        status: Status,
        found: impl Into<String>,
        name: &'static str,
        value: impl ToString,
    ) -> Self {
        let value = value.to_string();
        let remedy = format!("sysctl -w {name}={value}");
        Self { status, ..Self::advice(found, remedy) }.mended_by(Setting::Sysctl(name, value))
    }
}

/// A verdict, with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Finding {
    pub(super) what: &'static str,
    pub(super) why: String,
    pub(super) status: Status,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
    pub(super) settings: Vec<Setting>,
}

impl Finding {
    pub(super) fn new(what: &'static str, why: &str, verdict: Verdict) -> Self {
        let Verdict { status, found, why: own, remedy, settings } = verdict;
        Self { what, why: own.unwrap_or_else(|| why.to_owned()), status, found, remedy, settings }
    }
}
