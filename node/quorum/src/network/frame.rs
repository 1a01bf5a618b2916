//! Frames on a stream: a length, then that many bytes.
//!
//! A request is one frame, `magic u32, version u8, kind u8, cluster (u16 + bytes), from, to, body`, and for a snapshot the
//! frames of its chunks. An answer is one frame: `1` and a body, or `2`, a reason and its text.

use bytes::{BufMut, Bytes, BytesMut};
use ringmain_replication::NodeId;

use crate::codec::{Coded, DecodeError, Reader, put_boolean, put_count, put_text};
use crate::replica_id::{Address, ReplicaId};

const MAGIC: u32 = u32::from_be_bytes(*b"RMQ1");
const VERSION: u8 = 1;

/// Bytes of a frame at most: the largest proposal twice over, since the last entry of an append may be one.
pub(super) const FRAME_BYTES_MAX: usize = 4 << 20;
/// Bytes of an answer at most: what a controller answers is the largest.
pub(super) const ANSWER_BYTES_MAX: usize = (1 << 20) + 1024;
/// Bytes of a request to the controller, or of its answer, at most: a heartbeat that lists 10,000 partitions fits.
pub const CONTROLLER_BYTES_MAX: usize = 1 << 20;
/// Voters that a probe names at most.
const VOTERS_MAX: usize = 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Append,
    Vote,
    PreVote,
    Snapshot,
    Transfer,
    /// Who are you, and have you been in a cluster?
    Probe,
    /// Add me as a learner.
    Join,
    /// For the controller.
    Ask,
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) kind: RequestKind,
    pub(super) cluster_id: String,
    pub(super) from: ReplicaId,
    pub(super) to: ReplicaId,
    pub(super) body: Bytes,
}

/// Why a request was not done; it certainly was not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("it cannot be read: {0}")]
    Malformed(String),
    #[error("it is for cluster `{0}`")]
    OtherCluster(String),
    #[error("it is for {0}, and here is another")]
    NotForMe(String),
    #[error("it does not come from whom the certificate names: {0}")]
    NotFromYou(String),
    #[error("there are too many already")]
    Busy(String),
    #[error("it cannot be done: {0}")]
    Failed(String),
}

/// What a probe says: the voters that the sender is configured to form a cluster of.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) voters: Vec<NodeId>,
}

/// What a probe is answered.
#[derive(Debug)]
pub(crate) struct ProbeAnswer {
    pub(crate) replica: ReplicaId,
    /// It has neither a log nor a vote: it was never in a cluster.
    pub(crate) is_fresh: bool,
    /// It is configured for the same voters.
    pub(crate) agrees: bool,
}

/// Who wants to be a member, and where it listens.
#[derive(Debug)]
pub(crate) struct JoinRequest {
    pub(crate) replica: ReplicaId,
    pub(crate) address: Address,
}

/// What comes back from a request that only the leader can do.
#[derive(Debug)]
pub(crate) enum ControllerAnswer {
    /// Done; the controller's bytes.
    Answer(Bytes),
    /// Not done: the leader is another one, perhaps this.
    NotLeader(Option<(ReplicaId, Address)>),
}

impl RequestKind {
    const ALL: [Self; 8] = [
        Self::Append,
        Self::Vote,
        Self::PreVote,
        Self::Snapshot,
        Self::Transfer,
        Self::Probe,
        Self::Join,
        Self::Ask,
    ];

    fn code(self) -> u8 {
        // The place in the table, from one: a zero is no kind.
        let place = Self::ALL.iter().position(|kind| *kind == self).expect("every kind is in the table");
        u8::try_from(place + 1).expect("eight kinds")
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }

    /// Raft itself, for which the directory must be the right one.
    pub(super) fn is_raft(self) -> bool {
        matches!(self, Self::Append | Self::Vote | Self::PreVote | Self::Snapshot | Self::Transfer)
    }
}

impl Coded for Request {
    fn encode(&self, into: &mut Vec<u8>) {
        into.put_u32(MAGIC);
        into.put_u8(VERSION);
        into.put_u8(self.kind.code());
        put_text(into, &self.cluster_id);
        self.from.encode(into);
        self.to.encode(into);
        into.put_slice(&self.body);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let magic = reader.u32("a frame")?;
        if magic != MAGIC {
            return Err(DecodeError::Impossible { what: "the start of a frame", value: u64::from(magic) });
        }
        let version = reader.u8("a version")?;
        if version != VERSION {
            return Err(DecodeError::Impossible {
                what: "the version of a frame",
                value: u64::from(version),
            });
        }
        let code = reader.u8("a kind")?;
        let kind = RequestKind::from_code(code)
            .ok_or(DecodeError::Impossible { what: "the kind of a request", value: u64::from(code) })?;
        let cluster_id = reader.text("a cluster id")?;
        let from = ReplicaId::decode(reader)?;
        let to = ReplicaId::decode(reader)?;
        Ok(Self { kind, cluster_id, from, to, body: reader.bytes(reader.remaining(), "a body")? })
    }
}

impl Coded for Refusal {
    fn encode(&self, into: &mut Vec<u8>) {
        let (code, text) = match self {
            Self::Malformed(text) => (1, text),
            Self::OtherCluster(text) => (2, text),
            Self::NotForMe(text) => (3, text),
            Self::NotFromYou(text) => (4, text),
            Self::Busy(text) => (5, text),
            Self::Failed(text) => (6, text),
        };
        into.put_u8(code);
        put_text(into, text);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let code = reader.u8("a refusal")?;
        let text = reader.text("a reason")?;
        Ok(match code {
            1 => Self::Malformed(text),
            2 => Self::OtherCluster(text),
            3 => Self::NotForMe(text),
            4 => Self::NotFromYou(text),
            5 => Self::Busy(text),
            6 => Self::Failed(text),
            code => return Err(DecodeError::Impossible { what: "a refusal", value: u64::from(code) }),
        })
    }
}

/// An answer: the body, or why not.
impl Coded for Result<Bytes, Refusal> {
    fn encode(&self, into: &mut Vec<u8>) {
        put_boolean(into, self.is_ok());
        match self {
            Ok(body) => into.put_slice(body),
            Err(refusal) => refusal.encode(into),
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        if reader.boolean("an answer")? {
            Ok(Ok(reader.bytes(reader.remaining(), "a body")?))
        } else {
            Refusal::decode(reader).map(Err)
        }
    }
}

impl Coded for Probe {
    fn encode(&self, into: &mut Vec<u8>) {
        put_count(into, self.voters.len());
        self.voters.iter().for_each(|voter| into.put_i32(voter.0));
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = reader.count(4, "a number of voters")?;
        if count > VOTERS_MAX {
            return Err(DecodeError::Impossible { what: "a number of voters", value: count as u64 });
        }
        let voters = (0..count).map(|_| reader.i32("a voter").map(NodeId)).collect::<Result<_, _>>()?;
        Ok(Self { voters })
    }
}

impl Coded for ProbeAnswer {
    fn encode(&self, into: &mut Vec<u8>) {
        self.replica.encode(into);
        put_boolean(into, self.is_fresh);
        put_boolean(into, self.agrees);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let replica = ReplicaId::decode(reader)?;
        let is_fresh = reader.boolean("whether it is fresh")?;
        Ok(Self { replica, is_fresh, agrees: reader.boolean("whether it agrees")? })
    }
}

impl Coded for JoinRequest {
    fn encode(&self, into: &mut Vec<u8>) {
        self.replica.encode(into);
        self.address.encode(into);
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let replica = ReplicaId::decode(reader)?;
        Ok(Self { replica, address: Address::decode(reader)? })
    }
}

impl Coded for ControllerAnswer {
    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Answer(body) => {
                into.put_u8(1);
                into.put_slice(body);
            }
            Self::NotLeader(leader) => {
                into.put_u8(2);
                put_boolean(into, leader.is_some());
                if let Some((replica, address)) = leader {
                    replica.encode(into);
                    address.encode(into);
                }
            }
        }
    }

    fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        match reader.u8("an answer of the controller")? {
            1 => Ok(Self::Answer(reader.bytes(reader.remaining(), "a body")?)),
            2 if !reader.boolean("whether a leader is known")? => Ok(Self::NotLeader(None)),
            2 => {
                let replica = ReplicaId::decode(reader)?;
                Ok(Self::NotLeader(Some((replica, Address::decode(reader)?))))
            }
            code => {
                Err(DecodeError::Impossible { what: "an answer of the controller", value: u64::from(code) })
            }
        }
    }
}

/// Why a frame did not arrive or leave.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("a frame of {length} bytes, where {length_max} are the most")]
    TooLong { length: usize, length_max: usize },
    #[error("the stream ended within a frame")]
    Ended,
    #[error(transparent)]
    Read(#[from] quinn::ReadError),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads one frame. What it holds grows with the bytes that come, never with the length that is claimed.
pub(super) async fn read_frame(
    stream: &mut quinn::RecvStream,
    length_max: usize,
) -> Result<Bytes, StreamError> {
    let mut length = [0; 4];
    read_exact(stream, &mut length).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > length_max {
        return Err(StreamError::TooLong { length, length_max });
    }
    let mut frame = BytesMut::new();
    while frame.len() < length {
        let chunk = stream.read_chunk(length - frame.len(), true).await?.ok_or(StreamError::Ended)?;
        if frame.is_empty() && chunk.bytes.len() == length {
            return Ok(chunk.bytes);
        }
        frame.extend_from_slice(&chunk.bytes);
    }
    Ok(frame.freeze())
}

async fn read_exact(stream: &mut quinn::RecvStream, buffer: &mut [u8]) -> Result<(), StreamError> {
    stream.read_exact(buffer).await.map_err(|error| match error {
        quinn::ReadExactError::FinishedEarly(_) => StreamError::Ended,
        quinn::ReadExactError::ReadError(error) => StreamError::Read(error),
    })
}

/// Writes one frame.
pub(super) async fn write_frame(stream: &mut quinn::SendStream, frame: &[u8]) -> Result<(), StreamError> {
    let length = u32::try_from(frame.len())
        .map_err(|_| StreamError::TooLong { length: frame.len(), length_max: FRAME_BYTES_MAX })?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(frame).await?;
    Ok(())
}
