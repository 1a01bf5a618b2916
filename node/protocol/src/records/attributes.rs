//! The sixteen attribute bits of a record batch.

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the codecs' own names")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Compression {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// As in the configuration `compression.type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The codec with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    const fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }
}

/// Whose clock the timestamps of a batch are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's, when it made the record.
    CreateTime,
    /// The broker's, when it appended the batch: `max_timestamp` holds for each record.
    LogAppendTime,
}

/// The attribute bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
const TRANSACTIONAL_BIT: i16 = 1 << 4;
const CONTROL_BIT: i16 = 1 << 5;
const DELETE_HORIZON_BIT: i16 = 1 << 6;

impl Attributes {
    /// The codec's code, whether it exists or not.
    #[must_use]
    pub const fn compression_code(self) -> i16 {
        self.0 & COMPRESSION_MASK
    }

    /// The codec, or its code if it is none that exists.
    pub const fn compression(self) -> Result<Compression, i16> {
        match self.compression_code() {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            code => Err(code),
        }
    }

    /// Whose clock the timestamps are of.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME_BIT == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL_BIT != 0
    }

    /// Whether the batch holds a marker of the broker's in place of records.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL_BIT != 0
    }

    /// Whether `base_timestamp` says when the batch's tombstones may go (KIP-534).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON_BIT != 0
    }

    /// The same with another codec.
    #[must_use]
    pub const fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !COMPRESSION_MASK | compression.code())
    }

    /// The same with the other or the same timestamp type.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME_BIT),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME_BIT),
        }
    }

    /// The same, where `base_timestamp` says from when on the batch's tombstones may go.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | DELETE_HORIZON_BIT)
    }

    /// The same, as part of a transaction or not.
    #[must_use]
    pub const fn with_transactional(self, transactional: bool) -> Self {
        Self(if transactional { self.0 | TRANSACTIONAL_BIT } else { self.0 & !TRANSACTIONAL_BIT })
    }

    /// The same, as a control batch or not.
    #[must_use]
    pub const fn with_control(self, control: bool) -> Self {
        Self(if control { self.0 | CONTROL_BIT } else { self.0 & !CONTROL_BIT })
    }
}
