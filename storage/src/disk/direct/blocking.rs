//! Work for glommio's pool of blocking threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `work` on a blocking thread. A panic there continues here: glommio would let the caller wait for ever.
pub(super) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let result = glommio::executor().spawn_blocking(move || catch_unwind(AssertUnwindSafe(work))).await;
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
