//! The heartbeats of a leader: often, and with time for the answers.
//!
//! openraft has one number for how often a leader says that it is there and for how long it waits until a member has
//! answered. As one number it is either too slow for a member whose packet was lost, or too hasty for one that gets little
//! of a core: all its answers came too late, none was counted, and the leadership was in doubt although everybody was there.
//! So that number is the wait ([`crate::Timing::answer`]), and heartbeats are asked for here. To a member that has not
//! answered yet openraft sends no other one meanwhile.

use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use tokio::time::MissedTickBehavior;

use crate::raft::Raft;

/// Has heartbeats sent while this member leads, until it ends.
pub(crate) async fn send(raft: Raft, period: Duration) {
    let metrics = raft.metrics();
    let mut times = tokio::time::interval(period);
    // After a pause of the process one is enough.
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        let leads = metrics.borrow_watched().state == ServerState::Leader;
        if leads && raft.trigger().heartbeat().await.is_err() {
            return;
        }
    }
}
