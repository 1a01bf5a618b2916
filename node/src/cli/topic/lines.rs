//! Lines of a file or a pipe, one at a time, whatever their length.
//!
//! A line is what stands before a newline; a carriage return belongs to it, and the last line needs no newline. A thread
//! reads blocks ahead, so that a pipe that pauses does not hold back what came before. Memory is a few blocks and the
//! longest line.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

/// The longest line: the largest request that brokers take by default, so a longer one could be sent to none.
const LINE_BYTES_MAX: usize = 100 << 20;

/// What is read at once: large enough that a system call costs little beside it.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks read ahead: enough to read while a batch is compressed.
const BLOCKS_AHEAD: usize = 8;

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines {
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// The block at hand, and where its next line begins.
    block: Vec<u8>,
    position: usize,
    /// The beginning of a line that goes on in the next block.
    begun: Vec<u8>,
    /// The line that was returned last, when it spans blocks.
    joined: Vec<u8>,
    count: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// Nothing came until the deadline.
    Pause,
    /// There are no more lines.
    End,
}

impl Lines {
    /// Begins to read.
    pub(super) fn of(source: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
        thread::Builder::new().name("input".to_owned()).spawn(move || read_blocks(source, &sender))?;
        Ok(Self { blocks, block: Vec::new(), position: 0, begun: Vec::new(), joined: Vec::new(), count: 0 })
    }

    /// How many lines were returned: the number of the last one, from 1.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next line; with a deadline, a pause when none comes until then.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> io::Result<Next<'_>> {
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.block[self.position..]) {
                let begins_at = self.position;
                self.position += length + 1;
                self.count += 1;
                let rest = begins_at..begins_at + length;
                if self.begun.is_empty() {
                    return Ok(Next::Line(&self.block[rest]));
                }
                self.check_length(length)?;
                self.begun.extend_from_slice(&self.block[rest]);
                return Ok(Next::Line(self.take_begun()));
            }
            let rest_bytes = self.block.len() - self.position;
            self.check_length(rest_bytes)?;
            self.begun.extend_from_slice(&self.block[self.position..]);
            self.block.clear();
            self.position = 0;
            match self.receive(deadline) {
                Ok(block) => self.block = block?,
                Err(RecvTimeoutError::Timeout) => return Ok(Next::Pause),
                Err(RecvTimeoutError::Disconnected) if self.begun.is_empty() => return Ok(Next::End),
                Err(RecvTimeoutError::Disconnected) => {
                    self.count += 1;
                    return Ok(Next::Line(self.take_begun()));
                }
            }
        }
    }

    fn receive(&self, deadline: Option<Instant>) -> Result<io::Result<Vec<u8>>, RecvTimeoutError> {
        match deadline {
            Some(deadline) => self.blocks.recv_timeout(deadline.saturating_duration_since(Instant::now())),
            None => self.blocks.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take_begun(&mut self) -> &[u8] {
        self.joined = std::mem::take(&mut self.begun);
        &self.joined
    }

    fn check_length(&self, more: usize) -> io::Result<()> {
        if self.begun.len() + more <= LINE_BYTES_MAX {
            return Ok(());
        }
        let problem = format!("line {} is longer than {} MiB", self.count + 1, LINE_BYTES_MAX >> 20);
        Err(io::Error::new(ErrorKind::InvalidData, problem))
    }
}

/// Ends at the end of the source, at its first error, or when nobody takes the blocks any more.
fn read_blocks(mut source: impl Read, blocks: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = vec![0; BLOCK_BYTES];
        let result = match source.read(&mut block) {
            Ok(0) => return,
            Ok(length) => {
                block.truncate(length);
                Ok(block)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = result.is_err();
        if blocks.send(result).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Gives the bytes in pieces of the given sizes.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            into[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).filter(|piece| !piece.is_empty()).collect();
        let mut lines = Lines::of(Pieces(pieces)).expect("starts");
        let mut found = Vec::new();
        while let Next::Line(line) = lines.next(None).expect("reads") {
            found.push(line.to_vec());
        }
        assert_eq!(lines.count(), found.len() as u64);
        found
    }

    #[test]
    fn lines_end_at_newlines_and_keep_everything_else() {
        assert_eq!(lines(&[]), [b""; 0]);
        assert_eq!(lines(&[b"a\nb\n"]), [b"a", b"b"]);
        assert_eq!(lines(&[b"a\n\n\r\nb"]), [&b"a"[..], b"", b"\r", b"b"]);
        assert_eq!(lines(&[b"\n"]), [b""]);
        assert_eq!(lines(&[b"one ", b"line", b"\nt", b"wo\n", b"\n"]), [&b"one line"[..], b"two", b""]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\\n\\r]{0,60}", cuts in proptest::collection::vec(0_usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            let mut expected: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b'\n').collect();
            // What follows the last newline is a line only if there is something.
            if expected.last() == Some(&&b""[..]) {
                expected.pop();
            }
            prop_assert_eq!(lines(&pieces), expected);
        }
    }

    #[test]
    fn a_source_that_waits_is_a_pause() {
        struct Silent;
        impl Read for Silent {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                thread::sleep(Duration::from_secs(60));
                Ok(0)
            }
        }
        let mut lines = Lines::of(b"begun".chain(Silent)).expect("starts");
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(lines.next(Some(deadline)).expect("reads"), Next::Pause);
    }

    #[test]
    fn an_error_of_the_source_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::PermissionDenied.into())
            }
        }
        let mut lines = Lines::of(Broken).expect("starts");
        assert_eq!(lines.next(None).expect_err("fails").kind(), ErrorKind::PermissionDenied);
    }
}
