//! What happens, in words: for a seed that is looked at, and for the stories.

use super::log::Log;
use super::message::{Message, Produced};
use crate::{
    AnsweredFetch, Assignment, Effect, FetchOutcome, InSyncAnswer, NodeId, OutgoingFetch, ProduceOutcome,
    ProduceRefusal,
};

/// Where the lines go.
#[derive(Debug)]
pub(super) enum Trace {
    Off,
    Printed,
    Kept(std::cell::RefCell<Vec<String>>),
}

impl Trace {
    pub(super) fn note(&self, now_ms: i64, line: impl FnOnce() -> String) {
        match self {
            Self::Off => {}
            Self::Printed => eprintln!("{now_ms:6} {}", line()),
            Self::Kept(lines) => lines.borrow_mut().push(line()),
        }
    }
}

/// The name of a record: the first are letters.
pub(super) fn name(client: usize, sequence: usize) -> String {
    let letter =
        u8::try_from(sequence).ok().filter(|sequence| *sequence < 26).map(|sequence| b'a' + sequence);
    match (client, letter) {
        (0, Some(letter)) => char::from(letter).to_string(),
        _ => format!("{client}/{sequence}"),
    }
}

pub(super) fn nodes(nodes: impl IntoIterator<Item = NodeId>) -> String {
    nodes.into_iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(" ")
}

/// Whether an effect is worth a line of its own: others are told by the message that they send.
pub(super) fn is_told(effect: &Effect) -> bool {
    !matches!(effect, Effect::SendFetch { .. } | Effect::AnswerFetch(_) | Effect::ProposeInSync)
}

/// What a partition wants done.
pub(super) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::AppendToLog { leader_epoch, .. } => format!("appends in epoch {leader_epoch}"),
        Effect::RefuseProduce { refusal, .. } => {
            let why = match refusal {
                ProduceRefusal::NotLeader => "it does not lead",
                ProduceRefusal::NotEnoughReplicas => "too few replicas are in sync",
                ProduceRefusal::StorageFailed => "its log failed",
            };
            format!("refuses: {why}")
        }
        Effect::AnswerProduce { outcome, .. } => {
            let how = match outcome {
                ProduceOutcome::Done => "acknowledges",
                ProduceOutcome::TimedOut => "gives up: the time is over",
                ProduceOutcome::NotEnoughReplicasAfterAppend => "gives up: too few replicas stayed in sync",
                ProduceOutcome::StorageFailed => "gives up: its log failed",
                ProduceOutcome::NotLeader => "gives up: it leads no more",
            };
            how.to_owned()
        }
        Effect::HighWatermarkAdvanced { to } => format!("high watermark {to}"),
        Effect::Leading { leader_epoch } => format!("leads in epoch {leader_epoch}"),
        Effect::Resigned => "leads no more".to_owned(),
        Effect::AppendFetched { .. } => "appends what it fetched".to_owned(),
        Effect::TruncateLog { to, .. } => format!("cuts its log at {to}"),
        Effect::RestartLog { at } => format!("drops its log and begins at {at}"),
        Effect::AdvanceLogStart { to } => format!("deletes records before {to}"),
        Effect::SendFetch { leader } => format!("asks n{leader}"),
        Effect::AnswerFetch(answer) => format!("answers n{}", answer.to),
        Effect::ProposeInSync => "proposes an in-sync set".to_owned(),
    }
}

pub(super) fn message(message: &Message) -> String {
    match message {
        Message::Produce { request, .. } => format!("produce {}", name(request.client, request.sequence)),
        Message::Produced { request, outcome } => {
            let outcome = match outcome {
                Produced::At(offset) => format!("is at {offset}"),
                Produced::Deleted => "was there".to_owned(),
                Produced::Refused => "is refused".to_owned(),
            };
            format!("{} {outcome}", name(request.client, request.sequence))
        }
        Message::Fetch { fetch, .. } => asked(fetch),
        Message::Fetched { answer, records, .. } => {
            let names: Vec<String> =
                records.iter().map(|record| name(record.client, record.sequence)).collect();
            answered(answer, &names.join(" "))
        }
        Message::Propose { proposal, .. } => {
            let members = nodes(proposal.in_sync.iter().map(|member| member.node));
            format!("propose in sync {members} on top of {}", proposal.partition_epoch)
        }
        Message::Proposed { answer, .. } => match answer {
            InSyncAnswer::Committed { partition_epoch, in_sync, .. } => {
                format!("committed {partition_epoch}: in sync {}", nodes(in_sync.iter().copied()))
            }
            InSyncAnswer::Ineligible { .. } => "refused: not eligible".to_owned(),
            InSyncAnswer::Stale => "refused: stale".to_owned(),
        },
        Message::Metadata { assignment, .. } => metadata(assignment),
        Message::Register { lost, .. } => {
            if *lost {
                "register, something is lost".to_owned()
            } else {
                "register".to_owned()
            }
        }
        Message::Registered { node_epoch, .. } => format!("registered as start {node_epoch}"),
        Message::Heartbeat { .. } => "heartbeat".to_owned(),
    }
}

fn asked(fetch: &OutgoingFetch) -> String {
    let last =
        fetch.last_epoch.map_or_else(|| "nothing before".to_owned(), |epoch| format!("epoch {epoch} before"));
    format!(
        "fetch #{} in epoch {} at {} ({last}), flushed {}",
        fetch.fetch.number, fetch.leader_epoch, fetch.position, fetch.persisted.flushed
    )
}

fn answered(answer: &AnsweredFetch, records: &str) -> String {
    let number = answer.fetch.number;
    let what = match answer.outcome {
        FetchOutcome::Records => format!("{records} from {}", answer.position),
        FetchOutcome::Nothing => "nothing new".to_owned(),
        FetchOutcome::Diverged(parts) => {
            format!("histories part: epoch {} ends at {}", parts.epoch, parts.end)
        }
        FetchOutcome::OutOfRange => format!("out of range, the log starts at {}", answer.log_start),
        FetchOutcome::Refused(refusal) => format!("refused: {refusal:?}"),
    };
    format!("answer to #{number}: {what}; high watermark {}", answer.high_watermark)
}

fn metadata(assignment: &Assignment) -> String {
    let leader =
        assignment.leader.map_or_else(|| "nobody leads".to_owned(), |leader| format!("n{leader} leads"));
    format!(
        "metadata {}: {leader} in epoch {}, in sync {}, replicas {}",
        assignment.partition_epoch,
        assignment.leader_epoch,
        nodes(assignment.in_sync.iter().copied()),
        nodes(assignment.replicas.iter().map(|replica| replica.node)),
    )
}

/// The records of a log with the epochs that wrote them.
pub(super) fn log(log: &Log) -> String {
    let mut text = String::new();
    let mut epoch = None;
    for record in log.from(log.start, usize::MAX / 2) {
        if epoch.replace(record.epoch) != Some(record.epoch) {
            text.push_str(&format!(" {}:", record.epoch));
        }
        text.push_str(&format!(" {}", name(record.client, record.sequence)));
    }
    if text.is_empty() { " empty".to_owned() } else { text }
}
