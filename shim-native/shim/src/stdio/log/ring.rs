//! `mode=non-blocking`: lines wait in memory for a thread that writes them, and are dropped when too much waits.
//!
//! A disk that stalls then stalls that thread, not the container. What is dropped is counted, told by a line in the log
//! where it is missing, and summed up in `<log>.drops` (docs/logs.md).

use super::drops::{Drops, Tally};
use super::files::LogFiles;
use crate::log;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;

/// What the writer takes at a time; while it writes these, they count as waiting.
const PORTION: usize = 64 << 10;

/// The side that never waits.
#[derive(Debug)]
pub struct Ring(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Encoded bytes that may wait.
    capacity: usize,
    state: Mutex<State>,
    /// Told to the writer: there is something to do.
    work: Condvar,
    /// Told to whoever waits for the log to be complete.
    idle: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes in the writer's hands.
    in_flight: usize,
    /// Since the last note about them.
    dropped: Drops,
    /// Of which there are notes.
    noted: Drops,
    /// Held by the writer while it writes: what is in the files is then not certain.
    files: Option<LogFiles>,
    has_ended: bool,
}

/// A log as it is at one moment.
pub type Snapshot = (Vec<(File, u64)>, Vec<u8>);

impl Ring {
    /// # Errors
    /// There is no thread to be had.
    pub fn start(files: LogFiles, capacity: usize) -> io::Result<Self> {
        let tally = Tally::open(files.path());
        let shared = Arc::new(Shared {
            capacity,
            state: Mutex::new(State {
                files: Some(files),
                ..State::default()
            }),
            work: Condvar::new(),
            idle: Notify::new(),
        });
        let own = shared.clone();
        std::thread::Builder::new()
            .name("log".into())
            .stack_size(128 << 10)
            .spawn(move || own.write_all(tally))?;
        Ok(Ring(shared))
    }

    /// Takes one encoded line, or counts it as dropped.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.0.state();
        let held = state.waiting.len() + state.in_flight;
        if held > 0 && held + line.len() > self.0.capacity {
            state.dropped += Drops::of_line(line);
            return;
        }
        state.note_drops();
        state.waiting.extend_from_slice(line);
        self.0.work.notify_one();
    }

    /// What is logged, and what waits to be. `WouldBlock` while the writer is at it: try again.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let state = self.0.state();
        match &state.files {
            Some(files) => Ok((files.open_all()?, state.waiting.clone())),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Resolves when all that was taken is in the files.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.0.clone();
        async move {
            loop {
                let idle = shared.idle.notified();
                if shared.state().is_idle() {
                    return;
                }
                idle.await;
            }
        }
    }
}

impl Drop for Ring {
    /// The thread writes what is left, and ends.
    fn drop(&mut self) {
        self.0.state().has_ended = true;
        self.0.work.notify_one();
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.files.is_some() && self.dropped == Drops::default()
    }

    /// Where they would have been.
    fn note_drops(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped != Drops::default() {
            dropped.append_note(&mut self.waiting);
            self.noted += dropped;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The writer's life.
    fn write_all(&self, mut tally: Tally) {
        while let Some((mut files, lines)) = self.next_portion() {
            files.append(&lines);
            let mut state = self.state();
            state.in_flight = 0;
            state.dropped += files.take_drops();
            state.files = Some(files);
            let noted = std::mem::take(&mut state.noted);
            drop(state);
            tally.add(noted);
            self.idle.notify_waiters();
        }
        log::debug!("the log's writer has ended");
    }

    /// Waits for lines and takes hold of the files; `None` when there will be no more.
    fn next_portion(&self) -> Option<(LogFiles, Vec<u8>)> {
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() {
                state.note_drops();
            }
            if !state.waiting.is_empty() {
                let length = portion(&state.waiting);
                let rest = state.waiting.split_off(length);
                let lines = std::mem::replace(&mut state.waiting, rest);
                state.in_flight = length;
                return state.files.take().map(|files| (files, lines));
            }
            if state.has_ended {
                return None;
            }
            state = self.work.wait(state).unwrap();
        }
    }
}

/// Bytes of the first whole lines, about [`PORTION`] of them.
fn portion(lines: &[u8]) -> usize {
    let from = PORTION.min(lines.len()) - 1;
    lines[from..]
        .iter()
        .position(|&byte| byte == b'\n')
        .map_or(lines.len(), |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdio::target::Gantry;
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::time::{Duration, Instant};

    fn line(number: usize) -> Vec<u8> {
        format!("{{\"log\":\"{number:05}\\n\"}}\n").into_bytes()
    }

    fn ring(path: &Path, capacity: usize) -> Ring {
        let target = Gantry {
            max_file: 1,
            ..Gantry::default()
        };
        Ring::start(LogFiles::open(path, &target).unwrap(), capacity).unwrap()
    }

    /// A FIFO nobody reads is a disk that has stalled.
    #[test]
    fn drops_while_the_disk_stalls_and_says_how_much() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
        let reader = File::options().read(true).write(true).open(&path).unwrap();
        let ring = ring(&path, 4096);
        let total = 20_000;
        for number in 0..total {
            ring.push(&line(number));
        }
        drop(ring);
        let mut got = 0;
        let mut dropped = 0;
        for text in BufReader::new(reader).lines() {
            let text = text.unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            match parsed["attrs"]["gantry.dropped"].as_str() {
                Some(count) => dropped += count.parse::<usize>().unwrap(),
                None => got += 1,
            }
            if got + dropped == total {
                break;
            }
        }
        assert!(dropped > 1000, "dropped {dropped}, got {got}");
        // The sum is written behind the notes it is of: the last one may still be on its way.
        let tally = path.with_extension("log.drops");
        let kept = || serde_json::from_slice::<Drops>(&std::fs::read(&tally).ok()?).ok();
        let deadline = Instant::now() + Duration::from_secs(60);
        while kept().map(|kept| kept.lines) != Some(dropped as u64) {
            assert!(Instant::now() < deadline, "{:?}, told {dropped}", kept());
            std::thread::yield_now();
        }
    }

    #[test]
    fn loses_nothing_that_fits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let ring = ring(&path, 1 << 20);
        for number in 0..10_000 {
            ring.push(&line(number));
        }
        let settled = ring.settled();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(settled);
        let want: Vec<u8> = (0..10_000).flat_map(line).collect();
        assert!(std::fs::read(&path).unwrap() == want);
        let (files, waiting) = ring.snapshot().unwrap();
        assert_eq!(
            (files.len(), files[0].1, waiting.len()),
            (1, want.len() as u64, 0)
        );
    }
}
