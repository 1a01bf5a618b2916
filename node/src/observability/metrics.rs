//! The counters and histograms of all shards as OpenMetrics text.

use std::{fmt::Write, sync::mpsc, time::Duration};

use super::stages::{STAGES_HELP, STAGES_NAME, StageValues};
use crate::shard::{CounterValues, NodeShared};

/// How long a busy shard may take to tell its counters; those that did not are left out.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Asks every shard and writes what they tell.
pub(crate) fn render(node: &NodeShared) -> String {
    let (tell, told) = mpsc::channel();
    for (shard, mailbox) in node.mailboxes.iter().enumerate() {
        let tell = tell.clone();
        mailbox.send(Box::new(move |it| {
            // The receiver may have given up on a slow shard; nobody needs its numbers then.
            let _ =
                tell.send(ShardValues { shard, counters: it.counter_values(), stages: it.stage_values() });
        }));
    }
    drop(tell);
    let mut shards = Vec::new();
    while let Ok(values) = told.recv_timeout(ANSWER_TIME) {
        shards.push(values);
    }
    shards.sort_unstable_by_key(|it| it.shard);
    write_all(&shards).unwrap_or_else(|std::fmt::Error| unreachable!("writing to a string does not fail"))
}

/// What one shard told.
struct ShardValues {
    shard: usize,
    counters: CounterValues,
    stages: StageValues,
}

fn write_all(shards: &[ShardValues]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    writeln!(text, "# TYPE ringmain_build info")?;
    writeln!(text, "# HELP ringmain_build The release that runs here.")?;
    writeln!(text, "ringmain_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
    for metric in CounterValues::METRICS {
        let (kind, suffix) = if metric.is_counter { ("counter", "_total") } else { ("gauge", "") };
        writeln!(text, "# TYPE ringmain_{} {kind}", metric.name)?;
        writeln!(text, "# HELP ringmain_{} {}", metric.name, metric.help)?;
        for ShardValues { shard, counters, .. } in shards {
            writeln!(
                text,
                "ringmain_{}{suffix}{{shard=\"{shard}\"}} {}",
                metric.name,
                (metric.value)(counters)
            )?;
        }
    }
    write_stages(&mut text, shards)?;
    text.push_str("# EOF\n");
    Ok(text)
}

fn write_stages(text: &mut String, shards: &[ShardValues]) -> std::fmt::Result {
    let name = format!("ringmain_{STAGES_NAME}");
    writeln!(text, "# TYPE {name} histogram")?;
    writeln!(text, "# UNIT {name} seconds")?;
    writeln!(text, "# HELP {name} {STAGES_HELP}")?;
    for ShardValues { shard, stages, .. } in shards {
        for (stage, values) in stages.iter() {
            let labels = format!("shard=\"{shard}\",stage=\"{stage}\"");
            for (bound, count) in values.cumulative() {
                writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            let (count, sum) = (values.count(), values.sum_seconds());
            writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}")?;
            writeln!(text, "{name}_count{{{labels}}} {count}")?;
            writeln!(text, "{name}_sum{{{labels}}} {sum}")?;
        }
    }
    Ok(())
}
