//! Counts for the operator.

use std::time::{Duration, Instant};

/// What happened since the start.
#[derive(Clone, Debug)]
pub(super) struct Stats {
    pub(super) started: Instant,
    /// Frames of clients.
    pub(super) received: u64,
    /// Replies and events.
    pub(super) sent: u64,
    requests: u64,
    latency_total: Duration,
    latency_min: Duration,
    latency_max: Duration,
}

impl Stats {
    pub(super) fn new(started: Instant) -> Self {
        let zero = Duration::ZERO;
        Self { started, received: 0, sent: 0, requests: 0, latency_total: zero, latency_min: Duration::MAX, latency_max: zero }
    }

    /// Counts how long a request took.
    pub(super) fn took(&mut self, latency: Duration) {
        self.requests += 1;
        self.latency_total += latency;
        self.latency_min = self.latency_min.min(latency);
        self.latency_max = self.latency_max.max(latency);
    }

    pub(super) fn latency_min_ms(&self) -> u128 {
        if self.requests == 0 { 0 } else { self.latency_min.as_millis() }
    }

    pub(super) fn latency_max_ms(&self) -> u128 {
        self.latency_max.as_millis()
    }

    pub(super) fn latency_avg_ms(&self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.latency_total.as_secs_f64() * 1e3 / self.requests as f64 }
    }
}
