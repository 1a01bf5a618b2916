//! `GET /api/v1/plots`: the last ten minutes of this node, and of the cluster as far as somebody looked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Problem, respond};
use crate::admin::{AdminState, Request, Response, history::SAMPLE_TIME, measured::Measured};

#[derive(Debug, Serialize)]
struct Plots {
    node_id: i32,
    sample_ms: u64,
    /// When each sample was taken, oldest first, in milliseconds since 1970.
    times: Vec<u64>,
    /// By name, a number a second for each sample: those of this node, and `records` of the cluster.
    rates: BTreeMap<&'static str, Vec<Option<f64>>>,
    /// By stage, in the order in which a produced batch passes them: its mean time there in seconds.
    stages: Vec<(&'static str, Vec<Option<f64>>)>,
    /// How long answers to producers took in seconds: `p50` and `p99`.
    produce: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// Answers with all points after `since` (milliseconds since 1970).
pub(in crate::admin) fn plots(request: &Request, state: &AdminState) -> Response {
    respond((|| {
        let since: u64 = request.number("since")?.unwrap_or(0);
        let points = state.history.points();
        let points: Vec<_> = points.iter().filter(|point| point.at_ms > since).collect();
        let mut rates = BTreeMap::new();
        for (index, (name, _)) in Measured::RATES.iter().enumerate() {
            rates.insert(*name, points.iter().map(|point| point.rates.get(index).copied()).collect());
        }
        rates.insert("records", points.iter().map(|point| point.cluster_records).collect());
        let mean = |index: usize| {
            points.iter().map(|point| point.stages.get(index).and_then(|(_, mean)| *mean)).collect()
        };
        let produce = Measured::SHARES
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (*name, points.iter().map(|point| point.produce[index]).collect()));
        let labels = points.last().map_or(&[][..], |point| &point.stages[..]);
        Ok::<_, Problem>(Plots {
            node_id: state.node.config.node_id,
            sample_ms: u64::try_from(SAMPLE_TIME.as_millis()).unwrap_or(u64::MAX),
            times: points.iter().map(|point| point.at_ms).collect(),
            rates,
            stages: labels.iter().enumerate().map(|(index, (label, _))| (*label, mean(index))).collect(),
            produce: produce.collect(),
        })
    })())
}
