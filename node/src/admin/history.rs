//! What the node did in the last minutes: counters and histograms of its shards, sampled for the plots.
//!
//! What must hold: the memory is bounded by [`POINTS_MAX`]; a shard has at most one question of ours waiting, however long
//! it takes to answer.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{measured::Measured, survey::Survey};
use crate::{shard::NodeShared, supervision::Phase};

/// Between two samples.
pub(super) const SAMPLE_TIME: Duration = Duration::from_secs(2);
/// Ten minutes.
const POINTS_MAX: usize = 300;

/// What happened between two samples, each a second.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) at_ms: u64,
    /// In the order of [`Measured::RATES`].
    pub(super) rates: Vec<f64>,
    /// Mean time of a produced batch in each stage, in seconds, in the order of the stages; `None` where none came.
    pub(super) stages: Vec<(&'static str, Option<f64>)>,
    /// How long answers to producers took, in seconds, in the order of [`Measured::SHARES`].
    pub(super) produce: [Option<f64>; Measured::SHARES.len()],
    /// Records a second in all partitions of the cluster; `None` while nobody looks.
    pub(super) cluster_records: Option<f64>,
}

/// The points, oldest first.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Point>>);

impl History {
    pub(super) fn points(&self) -> Vec<Point> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn push(&self, point: Point) {
        let mut points = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if points.len() == POINTS_MAX {
            points.pop_front();
        }
        points.push_back(point);
    }
}

/// Starts the thread that samples; it ends when `stopped` is dropped or told.
pub(super) fn start(
    history: Arc<History>,
    node: Arc<NodeShared>,
    survey: Arc<Survey>,
    stopped: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("admin-sample".into()).spawn(move || {
        let mut before: Option<(Instant, Measured)> = None;
        while stopped.recv_timeout(SAMPLE_TIME) == Err(RecvTimeoutError::Timeout) {
            // Before that nobody would answer, and the questions would pile up.
            if matches!(node.progress.phase(), Phase::Checking | Phase::Replaying | Phase::Recovering) {
                continue;
            }
            let at = Instant::now();
            let Some(now) = Measured::of(&node) else { continue };
            if let Some((before_at, before)) = &before {
                let time = at.duration_since(*before_at).as_secs_f64();
                let cluster_records = survey.glance().and_then(|seen| seen.rates.sum(None));
                history.push(now.since(before, time, cluster_records));
            }
            before = Some((at, now));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_points_go() {
        let history = History::default();
        for at_ms in 0..POINTS_MAX as u64 + 5 {
            history.push(Point {
                at_ms,
                rates: vec![],
                stages: vec![],
                produce: [None; 2],
                cluster_records: None,
            });
        }
        let points = history.points();
        assert_eq!((points.len(), points[0].at_ms), (POINTS_MAX, 5));
    }
}
