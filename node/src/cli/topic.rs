//! The `topic` commands.

mod administer;
mod consume;
mod describe;
mod format;
mod lines;
mod partitioner;
mod produce;
mod progress;
mod sender;

use std::time::Duration;

use super::arguments::{ClusterArguments, TopicCommand};
use super::failure::Failure;
use crate::client::{Client, ClientError};

/// Does what a `topic` command says.
pub(super) fn run(command: TopicCommand) -> Result<(), Failure> {
    match command {
        TopicCommand::Create(arguments) => administer::create(&arguments),
        TopicCommand::List(arguments) => describe::list(&arguments),
        TopicCommand::Describe(arguments) => describe::describe(&arguments),
        TopicCommand::Alter(arguments) => administer::alter(&arguments),
        TopicCommand::Delete(arguments) => administer::delete(&arguments),
        TopicCommand::Produce(arguments) => produce::produce(&arguments),
        TopicCommand::Consume(arguments) => consume::consume(&arguments),
    }
}

fn client(arguments: &ClusterArguments) -> Result<Client, ClientError> {
    Client::new(&arguments.brokers, Duration::from_secs(arguments.timeout))
}
