//! The data directory: whose it is, which format it has, that only one process uses it.
//!
//! It holds the folders of the partitions (`<topic>-<partition>`) and, under names that no partition can have:
//! ```text
//! lock           locked with flock by the process that uses the directory; its contents mean nothing
//! format         what this module writes, see below; made once
//! metadata.redb  the metadata log of a node that is alone
//! quorum.redb    that of a node in a cluster, with its votes
//! starts         which starts of a node in a cluster wrote here
//! journal/       the shards' journals
//! ```
//! `format` is five lines of text, so that an operator can read it, replaced atomically:
//! ```text
//! ringmain data directory
//! version = 1
//! cluster_id = 3vQmXyJ0T5mJ0mG1o0cW3w
//! node_id = 1
//! crc32 = 89abcdef            over the lines before it
//! ```
//! Crash cases: before the rename there is no `format`, only `lock` and perhaps `format.new`, and the next start makes
//! it; after the rename it is whole. A `format` with a wrong checksum is damage and is refused.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::cluster::is_member_of_cluster;
use super::{ClusterId, NodeId, random_cluster_id};

/// First line of `format`.
const MAGIC: &str = "ringmain data directory";

/// The version of the whole directory that this program reads and writes.
const VERSION: u32 = 1;

const FORMAT_FILE: &str = "format";
const FORMAT_FILE_NEW: &str = "format.new";
const LOCK_FILE: &str = "lock";

/// The file of the metadata log, in the data directory.
pub const METADATA_FILE: &str = "metadata.redb";

/// What may be in a directory that is about to become a data directory: what a start that was killed leaves, and what
/// `mkfs` makes.
const NAMES_OF_A_NEW_DIRECTORY: [&str; 3] = [LOCK_FILE, FORMAT_FILE_NEW, "lost+found"];

/// A data directory in use by this process. The lock is held until it is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    cluster_id: ClusterId,
    node_id: NodeId,
    created: bool,
    _lock: File,
}

/// Why a data directory cannot be used; each a sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirectoryError {
    /// The system refused something.
    #[error("cannot {operation} {path}: {error}", path = path.display())]
    Io {
        /// A verb phrase.
        operation: &'static str,
        /// Of what.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// Another process has the lock.
    #[error(
        "the data directory {} is in use by another process; stop that one, or choose another with --data-dir",
        .0.display()
    )]
    InUse(PathBuf),
    /// It holds other things.
    #[error(
        "{path} is no data directory of Ringmain and is not empty (it holds '{found}'); choose an empty or new one",
        path = path.display()
    )]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// One of the things.
        found: String,
    },
    /// `format` is not as it was written.
    #[error("{path} is damaged: {problem}; restore it from a copy of the data directory", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It was made by another version of the program.
    #[error(
        "the data directory {path} has format version {found}; this program knows version {VERSION}: use the one that \
         wrote it, or a later one",
        path = path.display()
    )]
    Version {
        /// Which directory.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It belongs to another cluster than the node's certificate.
    #[error(
        "the data directory {path} belongs to cluster {found}, but the node's certificate is of cluster {configured}; use \
         the certificates of cluster {found}, or choose another directory",
        path = path.display()
    )]
    OtherCluster {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        found: ClusterId,
        /// The certificate's.
        configured: ClusterId,
    },
    /// It belongs to a node of a cluster, and this one is configured without one.
    #[error(
        "the data directory {} belongs to a node of a cluster, but the configuration has no section [cluster]; add it, or \
         choose another directory",
        .0.display()
    )]
    InCluster(PathBuf),
    /// It belongs to another node.
    #[error(
        "the data directory {path} belongs to node {found}, but node_id is {configured}; set node_id = {found}, or \
         choose another directory",
        path = path.display()
    )]
    OtherNode {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Who asked for it.
        configured: NodeId,
    },
}

impl DataDirectory {
    /// Takes the directory for this process; makes it when there is none. The cluster of a node that is alone is drawn when
    /// its directory is made; that of others is `cluster`.
    pub fn open(
        path: &Path,
        node_id: NodeId,
        cluster: Option<&ClusterId>,
    ) -> Result<Self, DataDirectoryError> {
        fs::create_dir_all(path).map_err(failed("create the data directory", path))?;
        let lock = lock(path)?;
        let format_path = path.join(FORMAT_FILE);
        let (format, created) = match fs::read_to_string(&format_path) {
            Ok(text) => (parse_format(path, &text)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (make_format(path, node_id, cluster)?, true)
            }
            Err(error) => return Err(failed("read", &format_path)(error)),
        };
        if format.node_id != node_id {
            let (path, found) = (path.to_owned(), format.node_id);
            return Err(DataDirectoryError::OtherNode { path, found, configured: node_id });
        }
        match cluster {
            Some(configured) if *configured != format.cluster_id => {
                let (path, found) = (path.to_owned(), format.cluster_id);
                return Err(DataDirectoryError::OtherCluster { path, found, configured: configured.clone() });
            }
            None if is_member_of_cluster(path) => return Err(DataDirectoryError::InCluster(path.to_owned())),
            _ => {}
        }
        Ok(Self { path: path.to_owned(), cluster_id: format.cluster_id, node_id, created, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster that it belongs to.
    pub fn cluster_id(&self) -> &ClusterId {
        &self.cluster_id
    }

    /// The node that it belongs to.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Whether this start made it.
    pub fn is_new(&self) -> bool {
        self.created
    }

    /// Where the metadata log is.
    pub fn metadata_path(&self) -> PathBuf {
        self.path.join(METADATA_FILE)
    }
}

struct Format {
    cluster_id: ClusterId,
    node_id: NodeId,
}

fn lock(directory: &Path) -> Result<File, DataDirectoryError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed("open the lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirectoryError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed("lock", &path)(error)),
    }
}

fn make_format(
    directory: &Path,
    node_id: NodeId,
    cluster: Option<&ClusterId>,
) -> Result<Format, DataDirectoryError> {
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let name = entry.map_err(failed("list", directory))?.file_name();
        if !NAMES_OF_A_NEW_DIRECTORY.iter().any(|allowed| name == *allowed) {
            let found = name.to_string_lossy().into_owned();
            return Err(DataDirectoryError::NotOurs { path: directory.to_owned(), found });
        }
    }
    let cluster_id = match cluster {
        Some(cluster) => cluster.clone(),
        None => random_cluster_id().map_err(failed("make a cluster id for", directory))?,
    };
    let format = Format { cluster_id, node_id };
    let new_path = directory.join(FORMAT_FILE_NEW);
    let write = || -> io::Result<()> {
        let mut file = File::create(&new_path)?;
        file.write_all(format_text(&format).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new_path, directory.join(FORMAT_FILE))?;
        File::open(directory)?.sync_all()
    };
    write().map_err(failed("write the file 'format' in", directory))?;
    Ok(format)
}

fn format_text(format: &Format) -> String {
    let body = format!(
        "{MAGIC}\nversion = {VERSION}\ncluster_id = {}\nnode_id = {}\n",
        format.cluster_id, format.node_id
    );
    let checksum = crc32fast::hash(body.as_bytes());
    format!("{body}crc32 = {checksum:08x}\n")
}

fn parse_format(directory: &Path, text: &str) -> Result<Format, DataDirectoryError> {
    let path = directory.join(FORMAT_FILE);
    let damaged =
        |problem: &str| DataDirectoryError::Damaged { path: path.clone(), problem: problem.to_owned() };
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        value.ok_or_else(|| damaged(&format!("it has no line '{name}'")))
    };
    if text.lines().next() != Some(MAGIC) {
        return Err(damaged(&format!("its first line is not '{MAGIC}'")));
    }
    // Before the checksum: another version may seal the file in another way.
    let version: u32 = field("version")?.parse().map_err(|_| damaged("its version is not a number"))?;
    if version != VERSION {
        return Err(DataDirectoryError::Version { path: directory.to_owned(), found: version });
    }
    let body_length = text.find("crc32 = ").ok_or_else(|| damaged("it has no line 'crc32'"))?;
    let expected = format!("{:08x}", crc32fast::hash(&text.as_bytes()[..body_length]));
    let got = field("crc32")?;
    if got != expected {
        return Err(damaged(&format!("its checksum is {got}, its lines give {expected}")));
    }
    Ok(Format {
        cluster_id: ClusterId::parse(field("cluster_id")?)
            .ok_or_else(|| damaged("its cluster id is malformed"))?,
        node_id: NodeId(field("node_id")?.parse().map_err(|_| damaged("its node id is not a number"))?),
    })
}

fn failed<'a>(operation: &'static str, path: &'a Path) -> impl Fn(io::Error) -> DataDirectoryError + 'a {
    move |error| DataDirectoryError::Io { operation, path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::store::tests::TemporaryDirectory;

    #[test]
    fn a_new_directory_is_made_and_found_again() {
        let temporary = TemporaryDirectory::new("data-directory");
        let path = temporary.path().join("below");
        let made = DataDirectory::open(&path, NodeId(3), None).expect("made");
        assert!(made.is_new());
        let cluster_id = made.cluster_id().clone();
        drop(made);
        let found = DataDirectory::open(&path, NodeId(3), None).expect("found");
        assert!(!found.is_new());
        assert_eq!(found.cluster_id(), &cluster_id);
    }

    #[test]
    fn a_second_user_is_refused() {
        let temporary = TemporaryDirectory::new("lock");
        let _first = DataDirectory::open(temporary.path(), NodeId(1), None).expect("made");
        let second = DataDirectory::open(temporary.path(), NodeId(1), None);
        assert!(matches!(second, Err(DataDirectoryError::InUse(_))));
    }

    #[test]
    fn a_start_that_was_killed_before_the_rename_is_taken_up() {
        let temporary = TemporaryDirectory::new("half");
        fs::write(temporary.path().join(FORMAT_FILE_NEW), "ringm").expect("written");
        fs::create_dir(temporary.path().join("lost+found")).expect("made");
        assert!(DataDirectory::open(temporary.path(), NodeId(1), None).expect("made").is_new());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        let temporary = TemporaryDirectory::new("foreign");
        fs::write(temporary.path().join("thesis.txt"), "precious").expect("written");
        let refused =
            DataDirectory::open(temporary.path(), NodeId(1), None).expect_err("refused").to_string();
        assert!(refused.contains("it holds 'thesis.txt'"), "{refused}");
    }

    #[test]
    fn another_node_version_or_damage_is_refused_with_a_sentence() {
        let temporary = TemporaryDirectory::new("refused");
        drop(DataDirectory::open(temporary.path(), NodeId(1), None).expect("made"));
        let refused = |node: i32| {
            DataDirectory::open(temporary.path(), NodeId(node), None).expect_err("refused").to_string()
        };
        assert!(refused(2).contains("belongs to node 1, but node_id is 2"), "{}", refused(2));
        let path = temporary.path().join(FORMAT_FILE);
        let text = fs::read_to_string(&path).expect("there");
        fs::write(&path, text.replace("node_id = 1", "node_id = 2")).expect("written");
        assert!(refused(1).contains("is damaged: its checksum is"), "{}", refused(1));
        fs::write(&path, text.replace("version = 1", "version = 2")).expect("written");
        assert!(refused(1).contains("has format version 2"), "{}", refused(1));
        fs::write(&path, "").expect("written");
        assert!(refused(1).contains("is damaged: its first line"), "{}", refused(1));
    }
}
