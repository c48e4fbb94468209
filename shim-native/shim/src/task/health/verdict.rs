//! From probes to a status, by Docker's rules.

use super::check::Check;
use crate::proto::gantry::health::v1::{Health, Probe};
use std::time::Duration;

/// So many probes are remembered (Docker's number).
const KEPT: usize = 5;

const STARTING: &str = "starting";
const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

/// Nothing is known yet.
pub fn unknown() -> Health {
    Health {
        status: STARTING.to_owned(),
        ..Health::default()
    }
}

pub fn is_starting(health: &Health) -> bool {
    health.status == STARTING
}

/// Takes a probe into account that began `since_start`; answers whether the status has changed.
pub fn judge(health: &mut Health, probe: Probe, check: &Check, since_start: Duration) -> bool {
    let is_forgiven = is_starting(health) && check.in_start_period(since_start);
    let status = match probe.exit_code {
        0 => {
            health.failing_streak = 0;
            HEALTHY
        }
        _ if is_forgiven => STARTING,
        _ => {
            health.failing_streak += 1;
            if health.failing_streak >= check.retries {
                UNHEALTHY
            } else {
                &health.status
            }
        }
    }
    .to_owned();
    if health.log.len() == KEPT {
        health.log.remove(0);
    }
    health.log.push(probe);
    let has_changed = health.status != status;
    health.status = status;
    has_changed
}

#[cfg(test)]
mod tests {
    use super::super::check::example;
    use super::*;

    /// The status after each of the exit codes, one probe each `step`.
    fn statuses(exit_codes: &[i32], step: Duration) -> Vec<String> {
        let mut health = unknown();
        let mut at = Duration::ZERO;
        let judged = exit_codes.iter().map(|&exit_code| {
            let probe = Probe {
                exit_code,
                ..Probe::default()
            };
            let before = health.status.clone();
            let changed = judge(&mut health, probe, &example(), at);
            assert_eq!(changed, before != health.status);
            at += step;
            health.status.clone()
        });
        judged.collect()
    }

    #[test]
    fn failures_count_after_the_start_period() {
        let seconds = statuses(&[1, 1, 1, 1, 1, 0, 1], Duration::from_secs(1));
        assert_eq!(
            seconds,
            [
                STARTING, STARTING, STARTING, STARTING, UNHEALTHY, HEALTHY, HEALTHY
            ]
        );
    }

    #[test]
    fn once_well_failures_count_within_the_start_period_too() {
        let quick = statuses(&[0, 1, -1, 0], Duration::from_millis(10));
        assert_eq!(quick, [HEALTHY, HEALTHY, UNHEALTHY, HEALTHY]);
    }

    #[test]
    fn the_last_five_are_kept() {
        let mut health = unknown();
        for exit_code in 0..7 {
            let probe = Probe {
                exit_code,
                ..Probe::default()
            };
            judge(&mut health, probe, &example(), Duration::from_secs(9));
        }
        let codes: Vec<_> = health.log.iter().map(|probe| probe.exit_code).collect();
        assert_eq!(codes, [2, 3, 4, 5, 6]);
    }
}
