//! A token bucket: so many per second, so many at once.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A token bucket that hands out reservations. Upstream: client-go `flowcontrol.NewTokenBucketRateLimiter`.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    state: Mutex<(f64, Option<Instant>)>,
}

impl TokenBucket {
    /// `per_second` on average, `burst` at once (at least 1).
    pub fn new(per_second: f64, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        TokenBucket {
            per_second,
            burst,
            state: Mutex::new((burst, None)),
        }
    }

    /// Takes one token, from the future if need be: how long to wait for it.
    pub fn reserve(&self) -> Duration {
        let now = Instant::now();
        let mut state = self.state.lock();
        self.refill(&mut state, now);
        state.0 -= 1.0;
        if state.0 >= 0.0 || self.per_second <= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-state.0 / self.per_second)
        }
    }

    /// Takes one token if there is one now.
    pub fn try_take(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        self.refill(&mut state, now);
        if state.0 < 1.0 {
            return false;
        }
        state.0 -= 1.0;
        true
    }

    /// Waits for a token.
    pub async fn wait(&self) {
        let wait = self.reserve();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn refill(&self, state: &mut (f64, Option<Instant>), now: Instant) {
        if let Some(last) = state.1 {
            state.0 = (state.0 + now.duration_since(last).as_secs_f64() * self.per_second).min(self.burst);
        }
        state.1 = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn burst_then_average() {
        let bucket = TokenBucket::new(10.0, 2);
        assert!(bucket.try_take() && bucket.try_take() && !bucket.try_take());
        let start = Instant::now();
        for _ in 0..10 {
            bucket.wait().await;
        }
        let spent = start.elapsed();
        assert!(
            spent >= Duration::from_millis(990) && spent <= Duration::from_millis(1020),
            "{spent:?}"
        );
    }
}
