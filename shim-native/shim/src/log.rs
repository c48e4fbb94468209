//! The shim's own log: logrus-like text lines to the FIFO `log` in the bundle, which the daemon reads.
//!
//! A shim must never wait for its daemon, so the FIFO is non-blocking and a line that does not fit is
//! dropped. Nothing is ever printed to standard output: `start`'s answer lives there.

use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    fd: OwnedFd,
    debug: bool,
    /// ` namespace=… id=…`, appended to every line.
    fields: String,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Opens `<bundle>/log`. Without it (no daemon made one) lines are dropped.
pub fn open(bundle: &Path, namespace: &str, id: &str, debug: bool) {
    if let Some(fd) = open_fifo(&bundle.join("log")) {
        let fields = format!(" namespace={namespace} id={id}");
        let _ = LOG.set(Log { fd, debug, fields });
    }
}

/// Makes standard error the log, so that a panic's message ends up where people look.
pub fn capture_stderr() {
    if let Some(log) = LOG.get() {
        let _ = rustix::stdio::dup2_stderr(&log.fd);
    }
}

/// Writing needs a reader (ENXIO else); opening both ends keeps early lines for a daemon that comes later.
fn open_fifo(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, OFlags::WRONLY | flags, Mode::empty())
        .or_else(|_| rustix::fs::open(path, OFlags::RDWR | flags, Mode::empty()))
        .ok()
}

/// Writes one line. Use the macros.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    let Some(log) = LOG.get() else { return };
    if level == Level::Debug && !log.debug {
        return;
    }
    let _ = rustix::io::write(&log.fd, line(level, &message.to_string(), &log.fields).as_bytes());
}

fn line(level: Level, message: &str, fields: &str) -> String {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warning",
        Level::Error => "error",
    };
    let time = humantime::format_rfc3339_nanos(SystemTime::now());
    format!("time=\"{time}\" level={level} msg={message:?} runtime=io.containerd.gantry.v1{fields}\n")
}

macro_rules! debug { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Debug, format_args!($($arg)*)) } }
macro_rules! info { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($arg)*)) } }
macro_rules! warning { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Warn, format_args!($($arg)*)) } }
macro_rules! error { ($($arg:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($arg)*)) } }
pub(crate) use {debug, error, info, warning};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_with_its_fields() {
        let text = line(Level::Warn, "odd \"thing\"\nhere", " namespace=n id=i");
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(r#"level=warning msg="odd \"thing\"\nhere""#));
        assert!(text.ends_with(" namespace=n id=i\n"));
    }
}
