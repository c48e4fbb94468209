//! What one attached client has still to be sent.

use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

/// Bytes a client may lag behind before the container has to wait for it.
const LIMIT: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The last frame is queued.
    Finished,
    /// The client is gone or too slow; nothing more for it.
    Cut,
}

impl Queue {
    pub fn push(&self, frame: Vec<u8>) {
        let mut state = self.state.lock().unwrap();
        if state.phase == Phase::Open {
            state.bytes += frame.len();
            state.frames.push_back(frame);
            self.changed.notify_one();
        }
    }

    /// Queues the last frame.
    pub fn finish(&self, frame: Vec<u8>) {
        self.push(frame);
        let mut state = self.state.lock().unwrap();
        if state.phase == Phase::Open {
            state.phase = Phase::Finished;
        }
    }

    pub fn cut(&self) {
        *self.state.lock().unwrap() = State {
            phase: Phase::Cut,
            ..State::default()
        };
        self.changed.notify_one();
    }

    pub fn has_room(&self) -> bool {
        self.state.lock().unwrap().bytes < LIMIT
    }

    /// The next frame, or `None` after the last. One task at a time may wait here.
    pub async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut state = self.state.lock().unwrap();
                if let Some(frame) = state.frames.pop_front() {
                    state.bytes -= frame.len();
                    return Some(frame);
                }
                if state.phase != Phase::Open {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}
