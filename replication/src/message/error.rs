//! Why a message is refused. None of these leaves anything changed.

/// A frame that is no message, or a message that cannot be a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not ours at all.
    #[error("a message begins with {0:#010x}, which is not its magic number")]
    Magic(u32),
    /// Of another release.
    #[error("a message is of version {0}, which this node does not speak")]
    Version(u8),
    /// Unknown.
    #[error("a message is of kind {0}, which is unknown")]
    Kind(u8),
    /// Changed on the way.
    #[error("the checksum of a message's {0} is wrong")]
    Checksum(&'static str),
    /// Cut, or with something behind it.
    #[error("a message says that it has {told} bytes, and has {got}")]
    Length {
        /// By its header.
        told: usize,
        /// That arrived.
        got: usize,
    },
    /// A field runs over the end of the body, or something is left after the last one.
    #[error("the body of a message is {0}")]
    Body(&'static str),
    /// A value that the field cannot have.
    #[error("a message has an impossible {0}")]
    Field(&'static str),
    /// More than a message may have.
    #[error("the {what} of a message has {bytes} bytes, {max} at most")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
}
