//! When a container that ended runs again.

use std::time::Duration;

use spec::restart::RestartPolicy;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run this long counts as healthy and forgives what was before.
const HEALTHY: Duration = Duration::from_secs(10);

/// A restart policy and where its back-off stands.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: RestartPolicy,
    delay: Duration,
    /// Restarts done so far.
    pub count: u32,
}

impl Restarts {
    pub fn new(policy: RestartPolicy) -> Restarts {
        Restarts { policy, delay: FIRST_DELAY, count: 0 }
    }

    /// Returns whether the policy wants another run after this exit code.
    pub fn wanted(&self, code: i32) -> bool {
        match self.policy {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            // `on-failure:0` is no bound at all, as in Podman.
            RestartPolicy::OnFailure { max_retries } => code != 0 && max_retries.is_none_or(|max| max == 0 || self.count < max),
        }
    }

    /// Returns how long to wait before the next run, after one that lasted `ran`.
    pub fn next_delay(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.delay = FIRST_DELAY;
        }
        let delay = self.delay;
        self.delay = (delay * 2).min(LONGEST_DELAY);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let wanted = |policy, count, code| {
            let mut restarts = Restarts::new(policy);
            restarts.count = count;
            restarts.wanted(code)
        };
        assert!(!wanted(RestartPolicy::No, 0, 1));
        assert!(wanted(RestartPolicy::Always, 1000, 0));
        assert!(wanted(RestartPolicy::UnlessStopped, 0, 0));
        let twice = RestartPolicy::OnFailure { max_retries: Some(2) };
        assert!(!wanted(twice, 0, 0));
        assert!(wanted(twice, 1, 137));
        assert!(!wanted(twice, 2, 1));
        assert!(wanted(RestartPolicy::OnFailure { max_retries: None }, 99, 1));
        assert!(wanted(RestartPolicy::OnFailure { max_retries: Some(0) }, 99, 1));
    }

    #[test]
    fn the_delay_doubles_up_to_a_minute_and_is_forgiven() {
        let mut restarts = Restarts::new(RestartPolicy::Always);
        let delays: Vec<u128> = (0..12).map(|_| restarts.next_delay(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(restarts.next_delay(HEALTHY).as_millis(), 100);
        assert_eq!(restarts.next_delay(Duration::ZERO).as_millis(), 200);
    }
}
