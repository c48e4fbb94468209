//! Work the shim finishes before it ends: output on its way to clients, events, loggers winding up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::Notify;

/// Counts unfinished tasks.
#[derive(Debug, Default)]
pub struct Lingering {
    count: AtomicUsize,
    less: Notify,
}

/// Counted from creation to drop.
#[derive(Debug)]
pub struct Ticket(Arc<Lingering>);

impl Lingering {
    /// Runs `task` on the event loop, counted until it ends.
    pub fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let ticket = self.ticket();
        tokio::spawn(async move {
            task.await;
            drop(ticket);
        });
    }

    /// Counts something as unfinished until the ticket is dropped.
    pub fn ticket(self: &Arc<Self>) -> Ticket {
        self.count.fetch_add(1, Relaxed);
        Ticket(self.clone())
    }

    /// Waits until nothing is left.
    pub async fn idle(&self) {
        loop {
            let less = self.less.notified();
            if self.count.load(Relaxed) == 0 {
                return;
            }
            less.await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
        self.0.less.notify_waiters();
    }
}
