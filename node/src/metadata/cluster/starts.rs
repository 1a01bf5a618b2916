//! Which starts of this node its disk was written by: the file `starts` in the data directory.
//!
//! ```text
//! ringmain starts
//! version = 1
//! boot_id = 2f9c...            the machine's boot in which the registered start wrote
//! registered = 9d01...         the last start that learned that it was registered; no line before there is one
//! intended = 77ab...           a line for each start since then, written before it asks to be registered
//! crc32 = 89abcdef             over the lines before it
//! ```
//! What must hold: a start is in the file, durably, before the controller hears of it. So whichever start of this disk the
//! cluster knows as the newest, the file has it, wherever a crash falls; an old copy of the disk, or an empty one, does not.
//! What a start wrote is safe from a crash of the process; the machine's boot tells whether only the process ended. The boot
//! is noted once the start is registered: a start that never learned that it is counts by the boot before it, which can only
//! make the node's word weaker than it could be.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::metadata::IncarnationId;

const MAGIC: &str = "ringmain starts";
const FILE: &str = "starts";
const FILE_NEW: &str = "starts.new";
/// Starts in the file at most. More starts in a row that never reached a controller push out the oldest of them; had just
/// that one been registered, the node would count as one that lost its disk.
const INTENDED_MAX: usize = 64;
/// Names one boot of the machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The starts that a disk knows.
#[derive(Debug)]
pub(super) struct Starts {
    directory: PathBuf,
    /// Of this moment; `None` if the system does not tell.
    boot_id: Option<String>,
    registered: Option<Registered>,
    intended: Vec<IncarnationId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Registered {
    start: IncarnationId,
    boot_id: Option<String>,
}

/// Why the starts cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StartsError {
    /// The system refused something.
    #[error("cannot {operation} {path}: {error}", path = path.display())]
    Io {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// It is not as it was written.
    #[error(
        "{path} is damaged: {problem}; restore it, or remove it: the node then counts as one that lost its disk",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Starts {
    /// What a data directory knows.
    pub(super) fn read(directory: &Path) -> Result<Self, StartsError> {
        let boot_id = fs::read_to_string(BOOT_ID).ok().map(|text| text.trim().to_owned());
        Self::read_in(directory, boot_id)
    }

    fn read_in(directory: &Path, boot_id: Option<String>) -> Result<Self, StartsError> {
        let path = directory.join(FILE);
        let mut starts =
            Self { directory: directory.to_owned(), boot_id, registered: None, intended: Vec::new() };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let damaged = |problem| StartsError::Damaged { path, problem };
                (starts.registered, starts.intended) = parse(&text).map_err(damaged)?;
                Ok(starts)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(starts),
            Err(error) => Err(StartsError::Io { operation: "read", path, error }),
        }
    }

    /// The starts under one of which this disk was last written; empty when it never was.
    pub(super) fn previous(&self) -> Vec<IncarnationId> {
        self.registered
            .iter()
            .map(|registered| registered.start)
            .chain(self.intended.iter().copied())
            .collect()
    }

    /// Whether the machine has run ever since the registered start wrote.
    pub(super) fn is_same_boot(&self) -> bool {
        let before = self.registered.as_ref().and_then(|registered| registered.boot_id.as_ref());
        before.is_some() && before == self.boot_id.as_ref()
    }

    /// A start is about to ask to be registered.
    pub(super) fn intend(&mut self, start: IncarnationId) -> Result<(), StartsError> {
        self.intended.push(start);
        if self.intended.len() > INTENDED_MAX {
            self.intended.remove(0);
        }
        self.write()
    }

    /// A start is registered.
    pub(super) fn confirm(&mut self, start: IncarnationId) -> Result<(), StartsError> {
        self.registered = Some(Registered { start, boot_id: self.boot_id.clone() });
        self.intended.clear();
        self.write()
    }

    fn write(&self) -> Result<(), StartsError> {
        let path = self.directory.join(FILE);
        let new = self.directory.join(FILE_NEW);
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|error| StartsError::Io { operation: "write", path: path.clone(), error })
    }

    fn text(&self) -> String {
        let mut body = format!("{MAGIC}\nversion = 1\n");
        if let Some(Registered { start, boot_id }) = &self.registered {
            if let Some(boot_id) = boot_id {
                body.push_str(&format!("boot_id = {boot_id}\n"));
            }
            body.push_str(&format!("registered = {}\n", hexadecimal(*start)));
        }
        for start in &self.intended {
            body.push_str(&format!("intended = {}\n", hexadecimal(*start)));
        }
        let checksum = crc32fast::hash(body.as_bytes());
        format!("{body}crc32 = {checksum:08x}\n")
    }
}

fn parse(text: &str) -> Result<(Option<Registered>, Vec<IncarnationId>), String> {
    if text.lines().next() != Some(MAGIC) {
        return Err(format!("its first line is not '{MAGIC}'"));
    }
    let body_length = text.find("crc32 = ").ok_or("it has no line 'crc32'")?;
    let expected = format!("crc32 = {:08x}\n", crc32fast::hash(&text.as_bytes()[..body_length]));
    if text[body_length..] != expected {
        return Err("its checksum does not fit its lines".to_owned());
    }
    let value = |line: &str, name: &str| Some(line.strip_prefix(name)?.strip_prefix(" = ")?.to_owned());
    let field = |name: &str| text.lines().find_map(|line| value(line, name));
    if field("version").as_deref() != Some("1") {
        return Err("it has another version".to_owned());
    }
    let start = |text: String| {
        let number = u128::from_str_radix(&text, 16).map_err(|_| format!("'{text}' names no start"))?;
        Ok::<_, String>(IncarnationId(number.to_be_bytes()))
    };
    let registered = field("registered").map(start).transpose()?;
    let registered = registered.map(|start| Registered { start, boot_id: field("boot_id") });
    let intended = text.lines().filter_map(|line| value(line, "intended")).map(start);
    Ok((registered, intended.collect::<Result<_, _>>()?))
}

fn hexadecimal(start: IncarnationId) -> String {
    format!("{:032x}", u128::from_be_bytes(start.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::store::tests::TemporaryDirectory;

    fn start(number: u8) -> IncarnationId {
        IncarnationId([number; 16])
    }

    fn boot(name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[test]
    fn a_start_is_known_from_before_it_is_registered() {
        let directory = TemporaryDirectory::new("starts");
        let read = |name| Starts::read_in(directory.path(), boot(name)).expect("reads");
        assert_eq!((read("a").previous(), read("a").is_same_boot()), (vec![], false));
        read("a").intend(start(1)).expect("writes");
        assert_eq!((read("a").previous(), read("a").is_same_boot()), (vec![start(1)], false));
        read("a").confirm(start(1)).expect("writes");
        assert_eq!((read("a").previous(), read("a").is_same_boot()), (vec![start(1)], true));
        assert!(!read("b").is_same_boot());
    }

    /// It never learned whether it was registered, so it wrote nothing, and what was written before has the older boot.
    #[test]
    fn a_start_that_was_not_confirmed_leaves_the_boot_as_it_was() {
        let directory = TemporaryDirectory::new("starts-boot");
        let read = |name| Starts::read_in(directory.path(), boot(name)).expect("reads");
        read("a").confirm(start(1)).expect("writes");
        read("b").intend(start(2)).expect("writes");
        read("b").intend(start(3)).expect("writes");
        assert_eq!(read("b").previous(), [start(1), start(2), start(3)]);
        assert!(!read("b").is_same_boot());
        read("b").confirm(start(4)).expect("writes");
        assert_eq!((read("b").previous(), read("b").is_same_boot()), (vec![start(4)], true));
        let nobody_tells = Starts::read_in(directory.path(), None).expect("reads");
        assert!(!nobody_tells.is_same_boot());
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let directory = TemporaryDirectory::new("starts-many");
        let mut starts = Starts::read_in(directory.path(), None).expect("reads");
        starts.confirm(start(255)).expect("writes");
        (0..200).for_each(|number| starts.intend(start(number)).expect("writes"));
        let previous = Starts::read_in(directory.path(), None).expect("reads").previous();
        assert_eq!((previous.len(), previous[0], previous[1]), (65, start(255), start(136)));
    }

    #[test]
    fn damage_is_refused_with_a_sentence() {
        let directory = TemporaryDirectory::new("starts-damaged");
        Starts::read_in(directory.path(), None).expect("reads").confirm(start(1)).expect("writes");
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).expect("there");
        for damaged in ["", &text.replace("registered = 01", "registered = 02"), &text[..text.len() - 1]] {
            fs::write(&path, damaged).expect("written");
            let refused = Starts::read_in(directory.path(), None).expect_err("refused").to_string();
            assert!(refused.contains("is damaged"), "{refused}");
        }
    }
}
