//! A process's standard input: a pipe or a terminal that several may write to and anyone may close.

use super::channel::Channel;
use std::sync::Arc;
use tokio::sync::watch;

/// The writing side of standard input.
#[derive(Debug)]
pub struct Input(watch::Sender<State>);

#[derive(Clone, Debug)]
enum State {
    /// The process does not exist yet.
    Pending,
    Open(Arc<Channel>),
    Closed,
}

impl Input {
    /// Input that waits for [`Input::open`].
    pub fn pending() -> Self {
        Input(watch::Sender::new(State::Pending))
    }

    /// Gives the input its destination, unless it was closed already.
    pub fn open(&self, channel: Arc<Channel>) {
        self.0.send_if_modified(|state| {
            let pending = matches!(state, State::Pending);
            if pending {
                *state = State::Open(channel);
            }
            pending
        });
    }

    /// Lets go of the destination: a pipe's reader sees the end, a terminal notices nothing.
    pub fn close(&self) {
        self.0.send_replace(State::Closed);
    }

    /// Writes all of `bytes`, waiting for the process to exist and to read. Bytes for a closed input, or
    /// for a process that is gone, are dropped, as a terminal would.
    pub async fn write_all(&self, mut bytes: &[u8]) {
        let mut state = self.0.subscribe();
        while !bytes.is_empty() {
            let channel = match &*state.borrow_and_update() {
                State::Closed => return,
                State::Pending => None,
                State::Open(channel) => Some(channel.clone()),
            };
            let Some(channel) = channel else {
                let _ = state.changed().await;
                continue;
            };
            tokio::select! {
                written = channel.write(bytes) => match written {
                    Ok(written) => bytes = &bytes[written..],
                    Err(_gone) => return self.close(),
                },
                _ = state.changed() => {}
            }
        }
    }

    /// Feeds a client's FIFO to the process until the FIFO's end, then closes the input.
    pub async fn copy_from(&self, fifo: Channel) {
        let mut bytes = Vec::new();
        while let Ok(1..) = fifo.read_with(|read| bytes.extend_from_slice(read)).await {
            self.write_all(&bytes).await;
            bytes.clear();
        }
        self.close();
    }
}
