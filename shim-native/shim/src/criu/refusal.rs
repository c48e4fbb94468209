//! What CRIU said when it did not do it, and what can be done.

use std::fmt;
use std::path::{Path, PathBuf};

/// Most lines of its log that are told.
const LINES: usize = 5;

/// Why there is no checkpoint, or no restored container.
#[derive(Debug)]
pub enum Refusal {
    /// The program is not installed.
    Missing { searched: String },
    /// What was asked for cannot be.
    Wish(String),
    /// It could not be spoken to.
    Broken(String),
    /// It refused: its words, and where the rest of them is.
    Refused { said: String, log: PathBuf },
}

impl Refusal {
    /// From its answer and its log. The log is kept as `kept`, because the work folder goes.
    pub fn from_log(message: Option<String>, errno: Option<i32>, log: &Path, kept: PathBuf) -> Self {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let log = if std::fs::copy(log, &kept).is_ok() {
            kept
        } else {
            log.to_owned()
        };
        let mut said = errors(&text);
        if said.is_empty() {
            // Its answer has the first of them; often there is none.
            said.extend(message.map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()));
        }
        if said.is_empty() {
            let reason = errno
                .filter(|code| *code != 0)
                .map(std::io::Error::from_raw_os_error);
            said.push(reason.map_or("it gave no reason".to_owned(), |e| e.to_string()));
        }
        Refusal::Refused {
            said: said.join("; "),
            log,
        }
    }
}

/// The first errors of a log: later ones follow from them.
fn errors(log: &str) -> Vec<String> {
    let words = |line: &str| {
        Some(
            line.split_once("Error (")?
                .1
                .split_once("): ")?
                .1
                .trim()
                .to_owned(),
        )
    };
    log.lines().filter_map(words).take(LINES).collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing { searched } => write!(
                f,
                "no program called criu in {searched}: install CRIU 3.14 or newer (Debian: apt-get install criu)"
            ),
            Refusal::Wish(why) => f.write_str(why),
            Refusal::Broken(why) => write!(f, "criu: {why}"),
            Refusal::Refused { said, log } => write!(
                f,
                "criu: {said} (its log: {}; `criu check` tells what this kernel lacks)",
                log.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_why() {
        let log = "(00.1) all well\n(00.2) Error (criu/vdso.c:10): vdso: Unexpected rt vDSO area bounds\n\
                   (00.3) Error (criu/cr-dump.c:9): Dumping FAILED.\n";
        assert_eq!(
            errors(log),
            ["vdso: Unexpected rt vDSO area bounds", "Dumping FAILED."]
        );
    }

    #[test]
    fn the_log_outlives_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (log, kept) = (dir.path().join("dump.log"), dir.path().join("kept.log"));
        std::fs::write(&log, "(00.2) Error (a.c:1): no luck\n").unwrap();
        let refusal = Refusal::from_log(None, None, &log, kept.clone()).to_string();
        assert!(
            refusal.contains("criu: no luck (its log: ") && refusal.contains("kept.log"),
            "{refusal}"
        );
        assert!(kept.exists());
        let silent = Refusal::from_log(None, Some(libc::EBUSY), Path::new("/nonexistent"), kept).to_string();
        assert!(silent.contains("busy"), "{silent}");
    }
}
