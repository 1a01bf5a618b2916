//! The file of a bundle: tar, gzip, readable by its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// The longest part. What is longer is cut at its end, and says so.
const PART_BYTES_MAX: usize = 64 << 20;

/// A bundle that is being written.
pub(super) struct Archive {
    builder: Builder<GzEncoder<File>>,
    folder: String,
    time: u64,
}

impl Archive {
    /// A new file at `path`; what is added lies in `folder`. A file that is there already is an error.
    pub(super) fn create(path: &Path, folder: &str) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let builder = Builder::new(GzEncoder::new(file, Compression::default()));
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(Self { builder, folder: folder.to_owned(), time: time.as_secs() })
    }

    pub(super) fn add(&mut self, name: &str, text: &str) -> io::Result<()> {
        let end = text.floor_char_boundary(PART_BYTES_MAX);
        let note = if end < text.len() { "\n(cut here: it is longer than a part may be)\n" } else { "" };
        let content = [&text.as_bytes()[..end], note.as_bytes()].concat();
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        self.builder.append_data(&mut header, format!("{}/{name}", self.folder), content.as_slice())
    }

    /// Ends the file; its size.
    pub(super) fn finish(self) -> io::Result<u64> {
        let mut file = self.builder.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}
