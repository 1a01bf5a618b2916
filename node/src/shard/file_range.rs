//! Parts of segment files as bytes, for those who do not send them from the file.

use std::{fs::File, io, os::unix::fs::FileExt};

use bytes::Bytes;
use ringmain_storage::disk::FileRange;

use crate::runtime;

/// Reads a checked part of a segment, on a thread of the shard's pool: it may have left the page cache.
pub(super) async fn read_range(range: FileRange) -> Result<Bytes, io::Error> {
    if let Some(bytes) = range.memory() {
        return Ok(bytes.clone());
    }
    runtime::run_blocking(move || {
        let descriptor = range.descriptor().expect("a range that is not in memory has a descriptor");
        let file = File::from(descriptor.try_clone_to_owned()?);
        let length = usize::try_from(range.length()).expect("a part of a segment fits into memory");
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, range.position())?;
        Ok(Bytes::from(bytes))
    })
    .await
}
