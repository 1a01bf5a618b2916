//! Where the metadata records are durable: a log and, now and then, a snapshot in its place.
//!
//! [`RecordLog`] is the seam: records are proposed, and once `commit` returns they are committed and may be applied. With
//! one node [`Store`] is a file (redb); a quorum of nodes implements the same seam.
//!
//! A commit, in steps: one transaction writes each record under the next index; when the log has grown long, the same
//! transaction writes the snapshot of the image after it and empties the log; the transaction is durable before `commit`
//! returns. Failure modes: a crash before the transaction ends leaves the state before it; a write or flush error is
//! returned, and what reached the disk is unknown until it is read again, which is done where the disk was only full;
//! records that do not decode or do not apply make `open` fail and name the record.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition};
use ringmain_quorum::Room;

use super::{MetadataImage, MetadataRecord};

/// Numbers about the store itself, by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// Records since the snapshot, by index.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Records whose image is the state at `snapshot_version`, by position.
const SNAPSHOT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("snapshot");

/// The layout of the tables.
const LAYOUT: u64 = 1;

/// Records in the log beyond which a snapshot is written, when it is also shorter than the log: so much is replayed at
/// most at a start (a few milliseconds), and writing snapshots costs no more than writing the log did.
const LOG_RECORDS_MAX: u64 = 4096;

/// Memory for pages of the file; metadata is read once, at the start.
const CACHE_BYTES: usize = 4 << 20;

/// Something that makes records durable, in order.
pub trait RecordLog {
    /// Returns once the records are durable; `after` is the image with them applied. After [`StoreError::Full`] nobody knows
    /// whether they are, until [`RecordLog::reopen`] has said so; after any other error the log is not used again.
    fn commit(&mut self, records: &[MetadataRecord], after: &MetadataImage) -> Result<(), StoreError>;

    /// Reads what is durable again. May be repeated after [`StoreError::Full`].
    fn reopen(&mut self) -> Result<MetadataImage, StoreError>;
}

/// The metadata log of one node in a file.
#[derive(Debug)]
pub struct Store {
    /// `None` while the disk has no room to open it again.
    database: Option<Database>,
    path: PathBuf,
    /// Records in the table `log`.
    log_records: u64,
    /// A full disk would refuse the very change with which an operator makes room.
    room: Room,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk has no room for it.
    #[error("there is no room for the metadata store {path}", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be opened, read or written.
    #[error("cannot {operation} the metadata store {path}: {problem}", path = path.display())]
    Unusable {
        /// A verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The library's or the system's words.
        problem: String,
    },
    /// The file is not as it was written.
    #[error(
        "the metadata store {path} is damaged: {problem}; restore it from a copy of the data directory",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which record, and what is wrong with it.
        problem: String,
    },
    /// It was written by another version of the program.
    #[error(
        "the metadata store {path} has layout {found}, this program knows layout {LAYOUT}: use the one that wrote it",
        path = path.display()
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: u64,
    },
}

impl Store {
    /// Opens or makes the store, and reads the image that its records give.
    pub fn open(path: &Path) -> Result<(Self, MetadataImage), StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(path).map_err(|error| match error {
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(problem)) => {
                StoreError::Damaged { path: path.to_owned(), problem }
            }
            error => unusable("open", path)(error.into()),
        })?;
        let path = path.to_owned();
        let room = Room::new(path.clone(), 0);
        let mut store = Self { database: Some(database), path, log_records: 0, room };
        store.make_tables()?;
        let image = store.read_image()?;
        store.room.keep();
        Ok((store, image))
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Full { path: self.path.clone() })
    }

    fn make_tables(&self) -> Result<(), StoreError> {
        let failed = unusable("prepare", &self.path);
        let write = self.database()?.begin_write().map_err(|e| failed(e.into()))?;
        {
            let mut numbers = write.open_table(NUMBERS).map_err(|e| failed(e.into()))?;
            let layout = numbers.get("layout").map_err(|e| failed(e.into()))?.map(|layout| layout.value());
            match layout {
                Some(LAYOUT) => {}
                Some(found) => return Err(StoreError::Layout { path: self.path.clone(), found }),
                None => {
                    numbers.insert("layout", LAYOUT).map_err(|e| failed(e.into()))?;
                }
            }
            write.open_table(LOG).map_err(|e| failed(e.into()))?;
            write.open_table(SNAPSHOT).map_err(|e| failed(e.into()))?;
        }
        write.commit().map_err(|e| failed(e.into()))
    }

    fn read_image(&mut self) -> Result<MetadataImage, StoreError> {
        let failed = unusable("read", &self.path);
        let read = self.database()?.begin_read().map_err(|e| failed(e.into()))?;
        let numbers = read.open_table(NUMBERS).map_err(|e| failed(e.into()))?;
        let version = numbers.get("snapshot_version").map_err(|e| failed(e.into()))?;
        let snapshot = read.open_table(SNAPSHOT).map_err(|e| failed(e.into()))?;
        let log = read.open_table(LOG).map_err(|e| failed(e.into()))?;
        let damaged = |error: &dyn Display| StoreError::Damaged {
            path: self.path.clone(),
            problem: format!("its records do not fit together: {error}"),
        };
        let image = match version {
            Some(version) => {
                let records = self.read_records(&snapshot, 0, "snapshot")?;
                MetadataImage::from_snapshot(&records, version.value()).map_err(|error| damaged(&error))?
            }
            None => MetadataImage::default(),
        };
        let records = self.read_records(&log, image.version(), "log")?;
        self.log_records = records.len() as u64;
        image.after(&records).map_err(|error| damaged(&error))
    }

    /// Every record of a table, whose keys must be the numbers from `first` without a gap.
    fn read_records(
        &self,
        table: &impl ReadableTable<u64, &'static [u8]>,
        first: u64,
        name: &str,
    ) -> Result<Vec<MetadataRecord>, StoreError> {
        let failed = |error: redb::StorageError| match error {
            redb::StorageError::Corrupted(problem) => {
                StoreError::Damaged { path: self.path.clone(), problem }
            }
            error => unusable("read", &self.path)(error.into()),
        };
        let damaged = |index: u64, problem: &dyn Display| StoreError::Damaged {
            path: self.path.clone(),
            problem: format!("record {index} of its {name}: {problem}"),
        };
        let mut records = Vec::new();
        for (expected, entry) in (first..).zip(table.iter().map_err(failed)?) {
            let (index, bytes) = entry.map_err(failed)?;
            if index.value() != expected {
                return Err(damaged(expected, &format!("missing, the next is {}", index.value())));
            }
            records.push(MetadataRecord::decode(bytes.value()).map_err(|error| damaged(expected, &error))?);
        }
        Ok(records)
    }

    fn write(
        database: &Database,
        records: &[MetadataRecord],
        after: &MetadataImage,
    ) -> Result<u64, redb::Error> {
        let write = database.begin_write()?;
        let log_records = {
            let mut log = write.open_table(LOG)?;
            let first = after.version() - records.len() as u64;
            insert_all(&mut log, first, records)?;
            let log_records = log.len()?;
            if log_records > LOG_RECORDS_MAX
                && let snapshot_records = after.to_records()
                && (snapshot_records.len() as u64) < log_records
            {
                log.retain(|_, _| false)?;
                let mut snapshot = write.open_table(SNAPSHOT)?;
                snapshot.retain(|_, _| false)?;
                insert_all(&mut snapshot, 0, &snapshot_records)?;
                write.open_table(NUMBERS)?.insert("snapshot_version", after.version())?;
                0
            } else {
                log_records
            }
        };
        write.commit()?;
        Ok(log_records)
    }
}

impl RecordLog for Store {
    fn commit(&mut self, records: &[MetadataRecord], after: &MetadataImage) -> Result<(), StoreError> {
        let result = Self::write(self.database()?, records, after);
        self.log_records = result.map_err(unusable("write to", &self.path))?;
        self.room.keep();
        Ok(())
    }

    fn reopen(&mut self) -> Result<MetadataImage, StoreError> {
        // The file can be opened once at a time.
        self.database = None;
        let (store, image) = Self::open(&self.path)?;
        *self = store;
        Ok(image)
    }
}

fn insert_all(
    table: &mut Table<'_, u64, &'static [u8]>,
    first: u64,
    records: &[MetadataRecord],
) -> Result<(), redb::Error> {
    for (index, record) in (first..).zip(records) {
        table.insert(index, record.encode().as_slice())?;
    }
    Ok(())
}

fn unusable(operation: &'static str, path: &Path) -> impl Fn(redb::Error) -> StoreError {
    let path = path.to_owned();
    move |error| match error {
        redb::Error::Io(error)
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
        {
            StoreError::Full { path: path.clone() }
        }
        error => StoreError::Unusable { operation, path: path.clone(), problem: error.to_string() },
    }
}

#[cfg(test)]
pub(crate) mod tests;
