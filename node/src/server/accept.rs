//! Accepts clients on one shard.
//!
//! What must hold: the accept task lives as long as the shard; a shortage (EMFILE) makes it pause, never spin or end; a
//! connection over the limit is closed before anything of it is read.

use std::{io, rc::Rc, time::Duration};

use super::{Connection, ConnectionCount};
use crate::{
    runtime::{self, Listener},
    shard::Shard,
};

/// Pause after a failed accept, most likely for want of descriptors or memory: accept would fail again at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Begins to listen and to accept.
pub(super) fn start(shard: &Rc<Shard>, socket: socket2::Socket, count: ConnectionCount) -> io::Result<()> {
    let listener = Rc::new(Listener::listen(socket, shard.ring().clone())?);
    shard.set_listener(listener.clone());
    runtime::spawn(accept(shard.clone(), listener, count));
    Ok(())
}

async fn accept(shard: Rc<Shard>, listener: Rc<Listener>, count: ConnectionCount) {
    while !shard.is_stopping() {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) if shard.is_stopping() => return,
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                runtime::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(counted) = count.take() else {
            shard.counters().connections_refused.increment();
            tracing::debug!(%peer, "refuse a connection: the node has as many as it may have");
            socket.shutdown();
            continue;
        };
        shard.counters().connections_accepted.increment();
        let connection = Connection::new(socket, peer);
        let number = shard.connections().add(connection.clone());
        let shard = shard.clone();
        runtime::spawn(async move {
            connection.serve(shard.clone()).await;
            shard.connections().remove(number);
            drop(counted);
        });
    }
}
