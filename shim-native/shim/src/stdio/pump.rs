//! Moves one output stream from the container to its sink, and knows when all of it has arrived.

use super::channel::Channel;
use super::sink::{Sink, Stream};
use crate::log;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long a dead process's stream may stay open (a descendant holds it) before the exit is told anyway.
const GRACE: Duration = Duration::from_millis(100);

/// How long a sink may refuse a dead process's last bytes before the exit is told anyway.
const STALL: Duration = Duration::from_secs(31);

/// One stream under way.
#[derive(Debug)]
pub struct Pump {
    source: Arc<Channel>,
    sink: Sink,
    stream: Stream,
    /// Bytes the sink has taken.
    moved: AtomicU64,
    done: AtomicBool,
    changed: Notify,
}

impl Pump {
    pub fn new(source: Arc<Channel>, sink: Sink, stream: Stream) -> Arc<Self> {
        let (moved, done, changed) = (AtomicU64::new(0), AtomicBool::new(false), Notify::new());
        Arc::new(Pump {
            source,
            sink,
            stream,
            moved,
            done,
            changed,
        })
    }

    /// Runs until the stream's end.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self
                .source
                .read_with(|bytes| self.sink.accept(self.stream, bytes))
                .await
            {
                Ok(0) => break,
                Ok(count) => {
                    if !self.sink.is_ready() {
                        self.sink.ready().await;
                    }
                    self.moved.fetch_add(count as u64, Relaxed);
                    self.changed.notify_waiters();
                }
                Err(error) => {
                    log::error!("reading {:?}: {error}", self.stream);
                    break;
                }
            }
        }
        self.sink.end(self.stream);
        self.done.store(true, Relaxed);
        self.changed.notify_waiters();
    }

    /// Call after the process died: waits until every byte it wrote has been taken by the sink. What
    /// descendants write later is not waited for.
    pub async fn drain(&self) {
        // The dead can write no more, so what is in the pipe now (and in the pump's hands) is the rest.
        let died = Instant::now();
        let goal = self.moved.load(Relaxed) + self.source.waiting();
        let mut last = (self.moved.load(Relaxed), died);
        loop {
            let changed = self.changed.notified();
            let moved = self.moved.load(Relaxed);
            if moved != last.0 {
                last = (moved, Instant::now());
            }
            let enough = moved >= goal && self.sink.is_ready() && died.elapsed() >= GRACE;
            if self.done.load(Relaxed) || enough || last.1.elapsed() >= STALL {
                return;
            }
            let _ = timeout(GRACE, changed).await;
        }
    }
}
