//! The counters of all shards as OpenMetrics text.

use std::{fmt::Write, sync::mpsc, time::Duration};

use crate::shard::{CounterValues, NodeShared};

/// How long a busy shard may take to tell its counters; those that did not are left out.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Asks every shard and writes what they tell.
pub(super) fn render(node: &NodeShared) -> String {
    let (tell, told) = mpsc::channel();
    for (shard, mailbox) in node.mailboxes.iter().enumerate() {
        let tell = tell.clone();
        mailbox.send(Box::new(move |it| {
            // The receiver may have given up on a slow shard; nobody needs its numbers then.
            let _ = tell.send((shard, it.counter_values()));
        }));
    }
    drop(tell);
    let mut shards = Vec::new();
    while let Ok(values) = told.recv_timeout(ANSWER_TIME) {
        shards.push(values);
    }
    shards.sort_unstable_by_key(|(shard, _)| *shard);
    write_all(&shards).unwrap_or_else(|std::fmt::Error| unreachable!("writing to a string does not fail"))
}

fn write_all(shards: &[(usize, CounterValues)]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for metric in CounterValues::METRICS {
        let (kind, suffix) = if metric.is_counter { ("counter", "_total") } else { ("gauge", "") };
        writeln!(text, "# TYPE ringmain_{} {kind}", metric.name)?;
        writeln!(text, "# HELP ringmain_{} {}", metric.name, metric.help)?;
        for (shard, values) in shards {
            writeln!(
                text,
                "ringmain_{}{suffix}{{shard=\"{shard}\"}} {}",
                metric.name,
                (metric.value)(values)
            )?;
        }
    }
    text.push_str("# EOF\n");
    Ok(text)
}
