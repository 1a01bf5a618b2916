//! Brings requests of this node before the controller, wherever it is, again and again while that can help.
//!
//! What may have been done is asked again too, as Kafka's brokers do it with what they forward: everything that can be asked
//! either says what it was decided against, or may be done twice. A topic that was made by an attempt whose answer was lost
//! is then told to exist.

use std::time::Duration;

use bytes::Bytes;
use ringmain_quorum::{AskError, Quorum};
use tokio::time::Instant;

use super::wire::{self, Asked, Reply};
use crate::metadata::{ImageWatch, MetadataError};

/// How long one attempt may take: longer than a commit on a slow disk, short enough for another one.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks until `deadline`. What was decided is answered once the image is there.
pub(super) async fn ask(
    quorum: &Quorum,
    watch: &ImageWatch,
    asked: &Asked,
    deadline: Instant,
) -> Result<Reply, MetadataError> {
    let body = wire::encode(asked);
    let mut outcome = MetadataError::NoController;
    loop {
        let timeout = ATTEMPT_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
        match attempt(quorum, body.clone(), timeout).await {
            Ok(reply @ Reply::Decided { version, .. }) => {
                let reached = tokio::time::timeout_at(deadline, reached(watch.clone(), version)).await;
                return match reached {
                    Ok(true) => Ok(reply),
                    Ok(false) => Err(MetadataError::Stopped),
                    Err(_) => Err(MetadataError::Unknown),
                };
            }
            Ok(Reply::Unknown) => outcome = MetadataError::Unknown,
            Ok(Reply::Refused(problem)) => {
                tracing::error!("the controller refuses a request: {problem}");
                return Err(MetadataError::Unintelligible);
            }
            Ok(reply @ Reply::Quorum(_)) => return Ok(reply),
            Err(MetadataError::NoController) => {}
            Err(MetadataError::Unknown) => outcome = MetadataError::Unknown,
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(outcome);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks once.
pub(super) async fn attempt(quorum: &Quorum, body: Bytes, timeout: Duration) -> Result<Reply, MetadataError> {
    let answer = quorum.ask_controller(body, timeout).await.map_err(|error| match error {
        AskError::NoController(reason) => {
            tracing::debug!("no controller: {reason}");
            MetadataError::NoController
        }
        AskError::Unknown(reason) => {
            tracing::debug!("the controller did not answer: {reason}");
            MetadataError::Unknown
        }
        AskError::TooLarge(_) => MetadataError::TooLarge,
    })?;
    wire::decode(&answer).map_err(|error| {
        tracing::error!("the controller's answer makes no sense: {error}");
        MetadataError::Unintelligible
    })
}

/// Waits for an image of at least this version; false when there will be none, because the thread ends.
async fn reached(mut watch: ImageWatch, version: u64) -> bool {
    while watch.current().version() < version {
        if watch.changed().await.is_none() {
            return false;
        }
    }
    true
}
