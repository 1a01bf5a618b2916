//! Finding the frames of a journal by their heads, without reading what lies between them.
//!
//! A head says how long its frame is. Large frames are jumped over; where frames are small, or where none begins, all
//! bytes are read in large pieces: a frame may follow on any block, and one that does bears witness of what is missing
//! before it.
//!
//! What must hold: every frame is found whose head is whole, which is of its file's generation, and which is needed
//! according to any of them. A file is passed over only if a later one begins with a frame that is not needed either.
//! Does not do: payloads, which are read only where a log lacks them ([`super::stretches`]).
use alloc::string::String;
use alloc::vec::Vec;

use futures_util::stream::{self, StreamExt};

use crate::disk::{AlignedBuffer, BUFFER_BYTES_MAX, Disk, DiskError, DiskFile, OpenMode};
use crate::error::StoreError;
use crate::journal::frame::{FRAME_HEAD_BYTES, FileHeader, Frame, may_be_frame};
use crate::journal::{file_path, parse_name};

/// Bytes of a read that is to bring one head: those of some thousand entries.
const HEAD_READ_BYTES: usize = 64 << 10;

/// Bytes of a read where heads stand close together, or none was found.
const SEARCH_READ_BYTES: usize = 1 << 20;

/// Bytes that are rather read than jumped over: a read costs about as much as so many bytes of a larger one.
const JUMP_BYTES_MIN: u64 = 256 << 10;

/// Files that are read at once: each has one read under way.
const FILES_AT_ONCE: usize = 8;

/// What is needed of a journal.
pub(super) struct Frames<F> {
    /// Its files that may be needed.
    pub(super) files: Vec<JournalFile<F>>,
    /// Its frames from [`Frames::live_from`] on, by sequence.
    pub(super) found: Vec<Found>,
    /// Frames before this one are not needed.
    pub(super) live_from: u64,
    /// Bytes that were read to find them.
    pub(super) bytes_read: u64,
}

impl<F> Frames<F> {
    /// The frames up to the first that is missing: from the first that is needed each follows the one before it. The same
    /// may stand there twice.
    pub(super) fn may_be_applied(&self) -> impl Iterator<Item = &Found> {
        let mut next = self.live_from;
        self.found.iter().take_while(move |found| {
            let sequence = found.frame.sequence;
            let follows = sequence <= next;
            next = next.max(sequence + 1);
            follows
        })
    }
}

/// An open file of a journal.
pub(super) struct JournalFile<F> {
    pub(super) path: String,
    pub(super) file: F,
    /// Bytes of its whole blocks.
    length: u64,
    header: FileHeader,
}

/// A frame, and where it stands.
pub(super) struct Found {
    pub(super) frame: Frame,
    /// Index of its file.
    pub(super) file: usize,
    pub(super) position: u64,
}

/// Finds the frames of the journal in a folder.
pub(super) async fn find<D: Disk>(
    disk: &D,
    folder: &str,
    block_bytes: usize,
) -> Result<Frames<D::File>, StoreError> {
    let mut files = open_files(disk, folder, block_bytes).await?;
    // The newest first: its last frame knows best what is needed.
    files.sort_by_key(|file| core::cmp::Reverse(file.header.generation));
    let (mut found, mut bytes_read) = (Vec::new(), 0);
    if let Some(newest) = files.first() {
        bytes_read += find_in(newest, 0, block_bytes, &mut found).await?;
    }
    let live_from = |found: &[Found]| found.iter().map(|found| found.frame.live_from).max().unwrap_or(0);
    let headers: Vec<FileHeader> = files.iter().map(|file| file.header).collect();
    let needed = may_be_needed(&headers, live_from(&found)).skip(1);
    let reads = needed.map(|index| {
        let file = &files[index];
        async move {
            let mut found = Vec::new();
            let bytes_read = find_in(file, index, block_bytes, &mut found).await?;
            Ok::<_, DiskError>((found, bytes_read))
        }
    });
    let mut reads = stream::iter(reads).buffer_unordered(FILES_AT_ONCE);
    while let Some(read) = reads.next().await {
        let (of_file, bytes) = read?;
        found.extend(of_file);
        bytes_read += bytes;
    }
    drop(reads);
    let live_from = live_from(&found);
    found.retain(|found| found.frame.sequence >= live_from);
    found.sort_by_key(|found| (found.frame.sequence, found.frame.generation));
    Ok(Frames { files, found, live_from, bytes_read })
}

/// Which files may hold frames from `live_from` on, by their headers, of which the newest stands first. Sequences rise from
/// file to file: all frames of one are below the first of each that was entered after it.
fn may_be_needed(headers: &[FileHeader], live_from: u64) -> impl Iterator<Item = usize> {
    let begins_at_or_before = |header: &FileHeader| header.first_sequence <= live_from;
    let last = headers.iter().position(begins_at_or_before).map_or(headers.len(), |index| index + 1);
    0..last
}

/// Opens the files of a journal that have a header. Without one a file was never entered.
async fn open_files<D: Disk>(
    disk: &D,
    folder: &str,
    block_bytes: usize,
) -> Result<Vec<JournalFile<D::File>>, StoreError> {
    let mut files = Vec::new();
    for entry in disk.list(folder).await? {
        let Some(slot) = parse_name(&entry.name) else { continue };
        let path = file_path(folder, slot);
        let file = disk.open(&path, OpenMode::Read).await?;
        let block = file.read_at(0, block_bytes).await?;
        let Ok(header) = FileHeader::from_bytes(&path, block.as_slice()) else { continue };
        let length = entry.size_bytes - entry.size_bytes % block_bytes as u64;
        files.push(JournalFile { path, file, length, header });
    }
    Ok(files)
}

/// Finds the frames of one file. Says how many bytes it read.
async fn find_in<F: DiskFile>(
    file: &JournalFile<F>,
    index: usize,
    block_bytes: usize,
    found: &mut Vec<Found>,
) -> Result<u64, DiskError> {
    let generation = file.header.generation;
    let mut reader = Reader::new(file, block_bytes);
    let mut position = block_bytes as u64;
    while position < file.length {
        let frame = reader.frame_at(position).await?;
        let is_current =
            |frame: &Frame| frame.generation == generation || crate::planted::is("any-generation");
        match frame.filter(is_current) {
            Some(frame) => {
                let length = frame.length as u64;
                found.push(Found { frame, file: index, position });
                position += length;
            }
            // Not a frame of this generation. A later one may witness what is missing here.
            None => position += block_bytes as u64,
        }
    }
    Ok(reader.bytes_read)
}

/// Reads a file from heads to heads.
struct Reader<'a, F> {
    file: &'a JournalFile<F>,
    block_bytes: usize,
    /// What was read last, and from where.
    piece: Option<AlignedBuffer>,
    piece_start: u64,
    bytes_read: u64,
}

impl<'a, F: DiskFile> Reader<'a, F> {
    fn new(file: &'a JournalFile<F>, block_bytes: usize) -> Reader<'a, F> {
        Reader { file, block_bytes, piece: None, piece_start: block_bytes as u64, bytes_read: 0 }
    }

    /// The frame whose head stands at `position`; `None` when there is none that ends in the file.
    async fn frame_at(&mut self, position: u64) -> Result<Option<Frame>, DiskError> {
        let start = self.bytes_at(position, FRAME_HEAD_BYTES).await?;
        if !may_be_frame(start) {
            return Ok(None);
        }
        let Some(head_bytes) = Frame::head_bytes(start) else { return Ok(None) };
        let (block_bytes, room) = (self.block_bytes, self.file.length - position);
        Ok(Frame::decode_head(self.bytes_at(position, head_bytes).await?, room, block_bytes))
    }

    /// The bytes from `position` on: at least `count`, unless the file ends.
    async fn bytes_at(&mut self, position: u64, count: usize) -> Result<&[u8], DiskError> {
        if self.held_at(position).len() < count {
            self.read(position, count).await?;
        }
        Ok(self.held_at(position))
    }

    fn held_at(&self, position: u64) -> &[u8] {
        let held = self.piece.as_ref().map_or(&[][..], AlignedBuffer::as_slice);
        let start = position.checked_sub(self.piece_start).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| held.get(start..)).unwrap_or_default()
    }

    async fn read(&mut self, position: u64, count: usize) -> Result<(), DiskError> {
        let held_end = self.piece_start + self.piece.take().map_or(0, |piece| piece.len() as u64);
        let is_jump = self.bytes_read == 0 || position > held_end + JUMP_BYTES_MIN;
        let usual = if is_jump { HEAD_READ_BYTES } else { SEARCH_READ_BYTES };
        let wanted = usual.max(count).next_multiple_of(self.block_bytes).min(BUFFER_BYTES_MAX);
        let rest = self.file.length - position;
        let wanted = usize::try_from(rest).map_or(wanted, |rest| wanted.min(rest));
        let piece = self.file.file.read_at(position, wanted).await?;
        self.bytes_read += piece.len() as u64;
        self.piece_start = position;
        self.piece = Some(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
