//! Gantry's own stdio: one log, any number of attached clients.
//!
//! The [`Hub`] sits between a process's pumps and its clients. It logs each piece of output and queues it
//! for every client in one step, so a client that joins with `replay` finds each byte exactly once: in
//! the log as it was at that moment, or in its queue.

mod client;
mod protocol;
mod queue;
mod replay;

use super::input::Input;
use super::log::JsonLog;
use super::sink::Stream;
use super::target::{Gantry, Stdin};
use super::tty::Console;
use crate::lingering::Lingering;
use crate::log;
use crate::reaper::Exit;
use protocol::Hello;
use queue::Queue;
use replay::Replay;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How often it is looked whether a log driver that is behind has caught up.
const LOOK: Duration = Duration::from_millis(50);

/// How long an exit is held back for log lines that wait for the disk.
const SETTLE: Duration = Duration::from_secs(10);

/// What a hub is made from.
pub struct Parts {
    pub tty: bool,
    pub input: Arc<Input>,
    pub console: Arc<Console>,
    pub lingering: Arc<Lingering>,
}

/// The meeting point of one process's output, log and clients.
#[derive(Debug)]
pub struct Hub {
    tty: bool,
    stdin: Stdin,
    input: Arc<Input>,
    console: Arc<Console>,
    lingering: Arc<Lingering>,
    socket: PathBuf,
    state: Mutex<State>,
    /// Told whenever a queue may have got room.
    room: Notify,
}

#[derive(Debug)]
struct State {
    log: Option<JsonLog>,
    clients: Vec<Client>,
    /// The process is dead: what it left in the pipes is taken, however far a log driver is behind.
    is_last_output: bool,
    /// The exit frame, once the process ended and all its output was accepted.
    exit: Option<Vec<u8>>,
    accepting: Option<AbortHandle>,
}

#[derive(Debug)]
struct Client {
    queue: Arc<Queue>,
    hello: Hello,
}

impl Hub {
    /// Opens the log and listens for clients. An old socket in the way is removed.
    pub fn open(target: &Gantry, parts: Parts) -> io::Result<Arc<Self>> {
        let name =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", target.socket.display()));
        let log = JsonLog::open(target)?;
        if let Err(error) = std::fs::remove_file(&target.socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(name(error));
        }
        let listener = crate::socket::bind(&target.socket).map_err(name)?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let state = State {
            log,
            clients: Vec::new(),
            is_last_output: false,
            exit: None,
            accepting: None,
        };
        let Parts {
            tty,
            input,
            console,
            lingering,
        } = parts;
        let (stdin, socket) = (target.stdin, target.socket.clone());
        let (state, room) = (Mutex::new(state), Notify::new());
        let hub = Arc::new(Hub {
            tty,
            stdin,
            input,
            console,
            lingering,
            socket,
            state,
            room,
        });
        let accepting = tokio::spawn(accept_clients(hub.clone(), listener)).abort_handle();
        hub.state.lock().unwrap().accepting = Some(accepting);
        Ok(hub)
    }

    /// Takes output: to the log, and to the queue of every client that wants it.
    pub fn accept(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        if let Some(log) = &mut state.log {
            log.write(stream, bytes);
        }
        let kind = if stream == Stream::Stdout {
            protocol::STDOUT
        } else {
            protocol::STDERR
        };
        for client in &state.clients {
            if client.wants(stream) {
                client.queue.push(protocol::frame(kind, bytes));
            }
        }
    }

    pub fn is_ready(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.clients.iter().all(|client| client.queue.has_room())
            && (state.is_last_output || !state.log.as_ref().is_some_and(JsonLog::is_held))
    }

    /// Waits until no client, and no log driver, lags too far behind. A client that makes no progress at all is cut off
    /// in time.
    pub async fn ready(&self) {
        loop {
            let room = self.room.notified();
            if self.is_ready() {
                return;
            }
            // The driver is another process, and tells by a file how far it is.
            let _ = timeout(LOOK, room).await;
        }
    }

    /// The process is dead: there is no more than a pipe's content to come.
    pub fn expect_last_output(&self) {
        self.state.lock().unwrap().is_last_output = true;
        self.room.notify_waiters();
    }

    /// Resolves when the log is complete as far as output was accepted; a disk that stalls is waited for a while.
    pub async fn logged(&self) {
        let settled = self.state.lock().unwrap().log.as_ref().and_then(JsonLog::settled);
        if let Some(settled) = settled {
            let _ = timeout(SETTLE, settled).await;
        }
    }

    /// The stream has ended: its unfinished line is logged.
    pub fn end(&self, stream: Stream) {
        if let Some(log) = &mut self.state.lock().unwrap().log {
            log.end(stream);
        }
    }

    /// The process has ended and its output has been accepted. Clients get the exit after their output;
    /// later clients can still come for replay and exit until [`Hub::close`].
    pub fn exited(&self, exit: Exit) {
        self.end(Stream::Stdout);
        self.end(Stream::Stderr);
        let frame = protocol::exit_frame(exit);
        let mut state = self.state.lock().unwrap();
        for client in state.clients.drain(..) {
            client.queue.finish(frame.clone());
        }
        state.exit = Some(frame);
    }

    /// No more clients. Those there get what is queued for them, if the process ended; if it never came
    /// to life they are let go.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.clients.drain(..).for_each(|client| client.queue.cut());
        if let Some(settled) = state.log.as_ref().and_then(JsonLog::settled) {
            self.lingering.spawn(settled);
        }
        if let Some(accepting) = state.accepting.take() {
            accepting.abort();
            let _ = std::fs::remove_file(&self.socket);
        }
    }

    /// Adds a client and captures the past for it, in one step. `WouldBlock`: the log is being written, try again.
    fn join(&self, hello: Hello) -> io::Result<(Arc<Queue>, Option<Replay>)> {
        let mut state = self.state.lock().unwrap();
        let replay = match &state.log {
            Some(log) if hello.replay => Some(Replay::capture(log, hello)?),
            _ => None,
        };
        let queue = Arc::new(Queue::default());
        match &state.exit {
            Some(frame) => queue.finish(frame.clone()),
            None => state.clients.push(Client {
                queue: queue.clone(),
                hello,
            }),
        }
        Ok((queue, replay))
    }

    fn leave(&self, queue: &Arc<Queue>) {
        queue.cut();
        self.state
            .lock()
            .unwrap()
            .clients
            .retain(|client| !Arc::ptr_eq(&client.queue, queue));
        self.room.notify_waiters();
    }
}

impl Client {
    fn wants(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.hello.stdout,
            Stream::Stderr => self.hello.stderr,
        }
    }
}

async fn accept_clients(hub: Arc<Hub>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => hub.lingering.spawn(client::serve(hub.clone(), stream)),
            Err(error) => {
                log::warning!("attach {}: {error}", hub.socket.display());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
