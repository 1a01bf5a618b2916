//! The topic of a run: created for it and deleted behind it, or given and left alone.

use std::io;

use crate::driver::wire::client::{Client, other};
use crate::scenario::Context;
use crate::scenario::settings::Settings;
use crate::target::Target;

/// Calls `body` with the name of a topic of so many partitions: the one of the settings, or one that
/// lasts as long as the call, whether that fails or not.
pub(crate) fn with_topic<R>(
    target: &Target,
    settings: &Settings,
    partitions: u32,
    context: &Context,
    body: impl FnOnce(&str) -> io::Result<R>,
) -> io::Result<R> {
    let mut client = Client::connect(target.address)?;
    if let Some(topic) = &settings.topic {
        let found = client.partition_count(topic)?;
        if found < partitions {
            return Err(other(format!("topic {topic} has {found} partitions")));
        }
        return body(topic);
    }
    let topic = context.next_topic();
    let configs = [settings.configs.as_slice(), &target.configs].concat();
    let created = client.create_topic(&topic, partitions, settings.replication_factor, &configs);
    let result = match created {
        Ok(()) => body(&topic),
        Err(error) => Err(error),
    };
    let deleted = Client::connect(target.address).and_then(|mut client| client.delete_topic(&topic));
    // What went wrong first is what the user should read.
    let result = result?;
    deleted?;
    Ok(result)
}
