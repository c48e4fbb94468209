//! The receiving side of a process's output stream.

use super::attach::Hub;
use super::channel::Channel;
use super::fifo;
use crate::log;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

/// Which of the two output streams. A terminal has only the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Takes bytes at once ([`Sink::accept`]) and then says when it can take more ([`Sink::ready`]); a pump
/// waits for the latter before it reads on, which is how back-pressure reaches the container.
#[derive(Clone, Debug)]
pub enum Sink {
    Null,
    Outlet(Arc<Outlet>),
    File(Arc<File>),
    Hub(Arc<Hub>),
}

/// A FIFO or a pipe to a logger.
#[derive(Debug)]
pub struct Outlet {
    /// None once the stream has ended: readers that wait for the end of a FIFO see it, as with runc's shim.
    ends: Mutex<Option<Arc<Ends>>>,
    /// What the reader has not made room for yet; only one pump writes here.
    backlog: Mutex<Vec<u8>>,
}

#[derive(Debug)]
struct Ends {
    channel: Channel,
    _hold: Option<OwnedFd>,
}

impl Sink {
    pub fn fifo(fifo: fifo::Output) -> io::Result<Self> {
        let ends = Ends {
            channel: Channel::new(fifo.writer)?,
            _hold: fifo.hold,
        };
        Ok(Sink::Outlet(Arc::new(Outlet {
            ends: Mutex::new(Some(Arc::new(ends))),
            backlog: Mutex::default(),
        })))
    }

    pub fn accept(&self, stream: Stream, bytes: &[u8]) {
        match self {
            Sink::Null => {}
            Sink::Outlet(outlet) => outlet.accept(bytes),
            Sink::File(file) => {
                if let Err(error) = (&**file).write_all(bytes) {
                    log::error!("output lost, {} bytes: {error}", bytes.len());
                }
            }
            Sink::Hub(hub) => hub.accept(stream, bytes),
        }
    }

    pub fn is_ready(&self) -> bool {
        match self {
            Sink::Null | Sink::File(_) => true,
            Sink::Outlet(outlet) => outlet.backlog.lock().unwrap().is_empty(),
            Sink::Hub(hub) => hub.is_ready(),
        }
    }

    /// Waits until more can be accepted.
    pub async fn ready(&self) {
        match self {
            Sink::Null | Sink::File(_) => {}
            Sink::Outlet(outlet) => outlet.flush().await,
            Sink::Hub(hub) => hub.ready().await,
        }
    }

    /// The stream has ended, and all of it was taken.
    pub fn end(&self, stream: Stream) {
        match self {
            Sink::Null | Sink::File(_) => {}
            Sink::Outlet(outlet) => drop(outlet.ends.lock().unwrap().take()),
            Sink::Hub(hub) => hub.end(stream),
        }
    }
}

impl Outlet {
    fn ends(&self) -> Option<Arc<Ends>> {
        self.ends.lock().unwrap().clone()
    }

    fn accept(&self, bytes: &[u8]) {
        let Some(ends) = self.ends() else { return };
        match ends.channel.try_write(bytes) {
            Ok(written) => self.backlog.lock().unwrap().extend_from_slice(&bytes[written..]),
            // A logger that died: its container goes on without.
            Err(error) => log::warning!("output lost, {} bytes: {error}", bytes.len()),
        }
    }

    async fn flush(&self) {
        let Some(ends) = self.ends() else { return };
        let mut rest = std::mem::take(&mut *self.backlog.lock().unwrap());
        while !rest.is_empty() {
            match ends.channel.write(&rest).await {
                Ok(written) => drop(rest.drain(..written)),
                Err(error) => {
                    log::warning!("output lost, {} bytes: {error}", rest.len());
                    return;
                }
            }
        }
    }
}
