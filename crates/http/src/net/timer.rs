//! The timer of a tokio runtime.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::pacing::Timer;

/// Time since this value was made, on tokio's clock.
#[derive(Debug, Clone, Copy)]
pub struct TokioTimer(Instant);

impl TokioTimer {
    /// A timer that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Timer for TokioTimer {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) -> impl Future<Output = ()> + Send {
        sleep_until(self.0 + deadline)
    }
}
