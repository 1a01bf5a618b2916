//! Incremental fetch sessions (KIP-227): the broker remembers what a consumer fetches, and tells it what changed only.
//!
//! What must hold: at most so many sessions a shard; one is given up for another only when it was idle for
//! [`EVICTABLE_AFTER_MS`]; while a session's fetch is under way its epoch refuses a second one; a session names its topics
//! by their names or by their ids (KIP-516), never by both.
//! A session belongs to the shard that made it. A consumer that reconnects may reach another one; it is told that the
//! session is not found and begins a new one, as after any restart of a broker.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    rc::Rc,
};

use ringmain_protocol::{ErrorCode, codec::Uuid, messages::FetchRequest};
use ringmain_storage::{ShardId, TopicId};

use crate::shard::PartitionFetched;

/// As Kafka's `min.incremental.fetch.session.eviction.ms`.
const EVICTABLE_AFTER_MS: i64 = 120_000;
/// The epoch that begins a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch that ends one, or means that there is none.
const FINAL_EPOCH: i32 = -1;
/// No session.
const NO_SESSION: i32 = 0;
/// The value of a read-committed `isolation_level`.
const READ_COMMITTED: i8 = 1;

/// The first version that names topics by their ids.
const IDS_FROM_VERSION: i16 = 13;

/// A topic as a request names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum NamedTopic {
    Name(Rc<str>),
    Id(TopicId),
}

/// The name that a topic has now.
pub(super) type NameOf<'a> = &'a dyn Fn(TopicId) -> Option<Rc<str>>;

/// A partition that a fetch asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic: NamedTopic,
    /// The name of a topic that is named by its id, as it was when the id was first known. It stays when the topic is
    /// gone: only so can a consumer be told that another topic has its name.
    pub(super) known_as: Option<Rc<str>>,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
    pub(super) max_bytes: i32,
}

/// What the consumer was told last of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    log_start_offset: i64,
}

/// Never a real value: the partition is told at the next chance.
const UNTOLD: Told = Told { high_watermark: -1, log_start_offset: -1 };

#[derive(Debug)]
struct Remembered {
    wanted: Wanted,
    told: Told,
}

#[derive(Debug, Default)]
struct Stored {
    epoch: i32,
    last_used_ms: i64,
    /// In the order in which they are served: those that gave data go to the end, so that all get their turn.
    partitions: BTreeMap<u64, Remembered>,
    places: HashMap<(NamedTopic, i32), u64>,
    next_place: u64,
    /// Its requests name topics by their ids; all of them do, or none.
    by_ids: bool,
}

/// The session side of one fetch under way.
pub(super) struct Session {
    kind: Kind,
    wanted: Vec<Wanted>,
    read_committed: bool,
    by_ids: bool,
    now_ms: i64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Nothing is remembered.
    Sessionless,
    /// A new session begins if there is room.
    Full,
    /// A session goes on.
    Incremental { session_id: i32 },
}

impl Session {
    /// The partitions to read, in order.
    pub(super) fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    pub(super) fn is_read_committed(&self) -> bool {
        self.read_committed
    }
}

/// What the answer names.
pub(super) struct Finished {
    pub(super) session_id: i32,
    /// For each partition of the fetch; `None` where nothing changed.
    pub(super) partitions: Vec<Option<Wanted>>,
}

/// The sessions of one shard.
pub(crate) struct FetchSessions {
    sessions: RefCell<HashMap<i32, Stored>>,
    max: usize,
    shard: ShardId,
    /// Session ids must not be guessable one from the other.
    random: RandomState,
    made: Cell<u64>,
}

impl FetchSessions {
    /// Room for a shard's part of `sessions_max`.
    pub(crate) fn new(shard: ShardId, shards: usize, sessions_max: usize) -> Self {
        Self {
            sessions: RefCell::default(),
            max: sessions_max.div_ceil(shards),
            shard,
            random: RandomState::new(),
            made: Cell::new(0),
        }
    }

    /// Reads the session part of a request.
    pub(super) fn begin(
        &self,
        version: i16,
        request: &FetchRequest<'_>,
        name_of: NameOf<'_>,
        now_ms: i64,
    ) -> Result<Session, ErrorCode> {
        let (session_id, epoch) = (request.session_id, request.session_epoch);
        let read_committed = request.isolation_level == READ_COMMITTED;
        let by_ids = version >= IDS_FROM_VERSION;
        let begun = |kind, wanted| Session { kind, wanted, read_committed, by_ids, now_ms };
        let full = |kind| begun(kind, wanted(request, by_ids, name_of));
        if epoch == FINAL_EPOCH || epoch == INITIAL_EPOCH {
            self.sessions.borrow_mut().remove(&session_id);
            return Ok(full(if epoch == FINAL_EPOCH { Kind::Sessionless } else { Kind::Full }));
        }
        let mut sessions = self.sessions.borrow_mut();
        let stored = sessions.get_mut(&session_id).ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if stored.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if stored.by_ids != by_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        stored.update(request, name_of, now_ms);
        if stored.partitions.is_empty() {
            sessions.remove(&session_id);
            return Ok(begun(Kind::Sessionless, Vec::new()));
        }
        let wanted = stored.partitions.values().map(|remembered| remembered.wanted.clone()).collect();
        Ok(begun(Kind::Incremental { session_id }, wanted))
    }

    /// Decides what the answer names, and remembers what it tells.
    pub(super) fn finish(&self, session: Session, fetched: &[PartitionFetched]) -> Finished {
        assert_eq!(session.wanted.len(), fetched.len(), "a partition of the fetch has no result");
        match session.kind {
            Kind::Sessionless => Finished {
                session_id: NO_SESSION,
                partitions: session.wanted.into_iter().map(Some).collect(),
            },
            Kind::Full => {
                let session_id = self.create(&session, fetched);
                Finished { session_id, partitions: session.wanted.into_iter().map(Some).collect() }
            }
            Kind::Incremental { session_id } => {
                let mut sessions = self.sessions.borrow_mut();
                let partitions = match sessions.get_mut(&session_id) {
                    Some(stored) => stored.changed(session.wanted, fetched),
                    // Ended by another request meanwhile; the consumer will hear of it at its next fetch.
                    None => session.wanted.into_iter().map(Some).collect(),
                };
                Finished { session_id, partitions }
            }
        }
    }

    fn create(&self, session: &Session, fetched: &[PartitionFetched]) -> i32 {
        let mut sessions = self.sessions.borrow_mut();
        if session.wanted.is_empty() || !make_room(&mut sessions, self.max, session.now_ms) {
            return NO_SESSION;
        }
        let session_id = loop {
            self.made.set(self.made.get() + 1);
            let hash = self.random.hash_one((self.shard, self.made.get()));
            let [a, b, c, d, ..] = hash.to_be_bytes();
            let id = i32::from_be_bytes([a & 0x7f, b, c, d]);
            if id != NO_SESSION && !sessions.contains_key(&id) {
                break id;
            }
        };
        let mut stored =
            Stored { epoch: 1, last_used_ms: session.now_ms, by_ids: session.by_ids, ..Stored::default() };
        for (wanted, fetched) in session.wanted.iter().zip(fetched) {
            stored.insert(wanted.clone(), told(fetched));
        }
        sessions.insert(session_id, stored);
        session_id
    }
}

impl Stored {
    fn update(&mut self, request: &FetchRequest<'_>, name_of: NameOf<'_>, now_ms: i64) {
        self.last_used_ms = now_ms;
        // As Kafka: after the largest comes 1, since 0 begins a session.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        for wanted in wanted(request, self.by_ids, name_of) {
            match self.places.get(&(wanted.topic.clone(), wanted.partition)) {
                Some(place) => {
                    if let Some(remembered) = self.partitions.get_mut(place) {
                        let known_as = remembered.wanted.known_as.take().or(wanted.known_as);
                        remembered.wanted = Wanted { known_as, ..wanted };
                    }
                }
                None => self.insert(wanted, UNTOLD),
            }
        }
        for topic in &request.forgotten_topics {
            let named = named_topic(self.by_ids, topic.topic, topic.topic_id);
            for &partition in &topic.partitions {
                if let Some(place) = self.places.remove(&(named.clone(), partition)) {
                    self.partitions.remove(&place);
                }
            }
        }
        let remembered = self.partitions.values_mut().map(|remembered| &mut remembered.wanted);
        for wanted in remembered.filter(|wanted| wanted.known_as.is_none()) {
            if let NamedTopic::Id(topic_id) = wanted.topic {
                wanted.known_as = name_of(topic_id);
            }
        }
    }

    fn insert(&mut self, wanted: Wanted, told: Told) {
        let place = self.next_place;
        self.next_place += 1;
        let before = self.places.insert((wanted.topic.clone(), wanted.partition), place);
        if let Some(before) = before {
            self.partitions.remove(&before);
        }
        self.partitions.insert(place, Remembered { wanted, told });
    }

    /// Which partitions the consumer has to hear of.
    fn changed(&mut self, wanted: Vec<Wanted>, fetched: &[PartitionFetched]) -> Vec<Option<Wanted>> {
        let mut changed = Vec::with_capacity(wanted.len());
        for (wanted, fetched) in wanted.into_iter().zip(fetched) {
            let place = self.places.get(&(wanted.topic.clone(), wanted.partition)).copied();
            let Some(remembered) = place.and_then(|place| self.partitions.get_mut(&place)) else {
                changed.push(Some(wanted));
                continue;
            };
            let now = told(fetched);
            let must_tell = fetched.length > 0
                || fetched.error != ErrorCode::NONE
                || fetched.diverging_epoch.is_some()
                || fetched.preferred_replica.is_some()
                || remembered.told != now;
            remembered.told = now;
            if fetched.length > 0 {
                let told = remembered.told;
                let latest = remembered.wanted.clone();
                self.insert(latest, told);
            }
            changed.push(must_tell.then_some(wanted));
        }
        changed
    }
}

/// What an answer tells. After an error the consumer has to hear of the partition again, whatever it is then.
fn told(fetched: &PartitionFetched) -> Told {
    if fetched.error != ErrorCode::NONE {
        return UNTOLD;
    }
    Told { high_watermark: fetched.high_watermark, log_start_offset: fetched.log_start_offset }
}

/// Makes room for one more session, at the cost of one that nobody used for long.
fn make_room(sessions: &mut HashMap<i32, Stored>, max: usize, now_ms: i64) -> bool {
    if sessions.len() < max {
        return true;
    }
    let oldest = sessions.iter().min_by_key(|(_, stored)| stored.last_used_ms);
    let evictable = oldest.filter(|(_, stored)| stored.last_used_ms + EVICTABLE_AFTER_MS <= now_ms);
    let Some((&session_id, _)) = evictable else { return false };
    sessions.remove(&session_id);
    true
}

/// The partitions of a request in order; one that stands twice counts once, as it stood last.
fn wanted(request: &FetchRequest<'_>, by_ids: bool, name_of: NameOf<'_>) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut places: HashMap<(NamedTopic, i32), usize> = HashMap::new();
    for topic in &request.topics {
        let named = named_topic(by_ids, topic.topic, topic.topic_id);
        let known_as = match named {
            NamedTopic::Id(topic_id) => name_of(topic_id),
            NamedTopic::Name(_) => None,
        };
        for partition in &topic.partitions {
            let asked = Wanted {
                topic: named.clone(),
                known_as: known_as.clone(),
                partition: partition.partition,
                offset: partition.fetch_offset,
                leader_epoch: partition.current_leader_epoch.max(-1),
                last_fetched_epoch: partition.last_fetched_epoch,
                max_bytes: partition.partition_max_bytes,
            };
            match places.entry((named.clone(), partition.partition)) {
                Entry::Occupied(place) => wanted[*place.get()] = asked,
                Entry::Vacant(place) => {
                    place.insert(wanted.len());
                    wanted.push(asked);
                }
            }
        }
    }
    wanted
}

fn named_topic(by_ids: bool, name: &str, topic_id: Uuid) -> NamedTopic {
    if by_ids { NamedTopic::Id(TopicId(topic_id.0)) } else { NamedTopic::Name(name.into()) }
}

#[cfg(test)]
mod tests;
