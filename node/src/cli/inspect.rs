//! `inspect`: what is in a file of a data directory, for people who want to see it with their own eyes.
//!
//! It only reads, needs no running node, and reads a file in pieces, so that the size of the file does not matter. A file
//! that a running node writes to is read as it is at that moment.

mod checkpoint;
mod segment;

use super::arguments::InspectCommand;
use super::failure::Failure;

/// Does what an `inspect` command says.
pub(super) fn run(command: InspectCommand) -> Result<(), Failure> {
    match command {
        InspectCommand::Checkpoint(arguments) | InspectCommand::Journal(arguments) => {
            checkpoint::inspect(&arguments)
        }
        InspectCommand::Segment(arguments) => segment::inspect(&arguments),
    }
}
