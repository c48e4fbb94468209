//! What the core asks for: `health-check.json` in the bundle, written before the task is created.

use gantry_runtime::spec;
use serde::Deserialize;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A container's check, complete: the core has put in its defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Where whoever wants to know the container's health connects.
    pub socket: PathBuf,
    pub ask: Ask,
    interval_ms: u64,
    timeout_ms: u64,
    start_period_ms: u64,
    start_interval_ms: u64,
    pub retries: u32,
}

/// How the container is asked.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// By a process in it; exit code 0 is healthy.
    Process(Box<spec::Process>),
    /// By a connection to a port of it.
    Tcp { port: u16 },
    /// By a GET of it.
    Http { port: u16, host: String, path: String },
}

impl Check {
    /// `None`: the container has no check.
    pub fn read(bundle: &Path) -> Result<Option<Self>, String> {
        let path = bundle.join("health-check.json");
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| format!("{}: {e}", path.display()))?,
        };
        let check = serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Some(check))
    }

    /// The wait before the next probe; `is_starting`: none has settled yet whether the container is well.
    pub fn wait(&self, since_start: Duration, is_starting: bool) -> Duration {
        let wait_ms = if is_starting && self.in_start_period(since_start) {
            self.start_interval_ms
        } else {
            self.interval_ms
        };
        Duration::from_millis(wait_ms.max(1))
    }

    pub fn in_start_period(&self, since_start: Duration) -> bool {
        since_start < Duration::from_millis(self.start_period_ms)
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

#[cfg(test)]
pub fn example() -> Check {
    Check {
        socket: PathBuf::new(),
        ask: Ask::Tcp { port: 1 },
        interval_ms: 1000,
        timeout_ms: 500,
        start_period_ms: 3000,
        start_interval_ms: 100,
        retries: 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_without_the_file_has_no_check() {
        let bundle = tempfile::tempdir().unwrap();
        assert!(Check::read(bundle.path()).unwrap().is_none());
    }

    #[test]
    fn a_broken_file_is_named() {
        let bundle = tempfile::tempdir().unwrap();
        std::fs::write(bundle.path().join("health-check.json"), "{").unwrap();
        assert!(
            Check::read(bundle.path())
                .unwrap_err()
                .contains("health-check.json")
        );
    }

    #[test]
    fn each_way_of_asking_is_understood() {
        let asks = [
            r#"{"process":{"cwd":"/","args":["true"],"user":{"uid":0,"gid":0}}}"#,
            r#"{"tcp":{"port":80}}"#,
            r#"{"http":{"port":80,"host":"localhost","path":"/"}}"#,
        ];
        for ask in asks {
            let times = r#""intervalMs":1,"timeoutMs":1,"startPeriodMs":0,"startIntervalMs":1,"retries":3"#;
            let text = format!(r#"{{"socket":"/s","ask":{ask},{times}}}"#);
            assert!(serde_json::from_str::<Check>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn probes_are_closer_together_while_the_container_comes_up() {
        let (check, second) = (example(), Duration::from_secs(1));
        assert_eq!(check.wait(second, true), Duration::from_millis(100));
        assert_eq!(check.wait(second, false), second);
        assert_eq!(check.wait(4 * second, true), second);
    }
}
