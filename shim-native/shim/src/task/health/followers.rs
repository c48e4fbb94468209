//! The socket on which a container's health is told: who connects gets what is known, then each probe as it ends.
//!
//! A message is its length (u32, big-endian) and a `gantry.health.v1.Health`; after the first one, `log` holds the
//! new probe alone. Clients say nothing. The connection's end is the end of the container.

use crate::log;
use crate::proto::gantry::health::v1::Health;
use prost::Message;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::broadcast::{Receiver, Sender};
use tokio::time::{sleep, timeout};

/// Probes that a slow client may be behind before it is let go.
const BEHIND: usize = 16;

/// A client that accepts not one message for this long is let go.
const PATIENCE: Duration = Duration::from_secs(30);

type Frame = Arc<[u8]>;

pub struct Followers {
    socket: PathBuf,
    listener: Mutex<Option<UnixListener>>,
    /// `None`: the container has ended.
    news: Mutex<Option<Sender<Frame>>>,
}

impl Followers {
    /// Listens; an old socket in the way is removed.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", socket.display()));
        if let Err(error) = std::fs::remove_file(socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(named(error));
        }
        let listener = crate::socket::bind(socket).map_err(named)?;
        listener.set_nonblocking(true)?;
        Ok(Followers {
            socket: socket.to_owned(),
            listener: Mutex::new(Some(UnixListener::from_std(listener)?)),
            news: Mutex::new(Some(Sender::new(BEHIND))),
        })
    }

    /// Lets clients in. Call once; drop it to let in no more.
    pub async fn serve(&self, now: impl Fn() -> Health) {
        let Some(listener) = self.listener.lock().unwrap().take() else {
            return;
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.admit(stream, frame(&now())),
                Err(error) => {
                    log::error!("health socket: {error}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn admit(&self, stream: UnixStream, first: Frame) {
        if let Some(news) = &*self.news.lock().unwrap() {
            tokio::spawn(follow(stream, first, news.subscribe()));
        }
    }

    /// Nothing is made, and nobody woken, where nobody listens.
    pub fn tell(&self, news: impl FnOnce() -> Health) {
        if let Some(sender) = &*self.news.lock().unwrap()
            && sender.receiver_count() > 0
        {
            let _ = sender.send(frame(&news()));
        }
    }

    /// Clients still get what they are owed.
    pub fn close(&self) {
        self.news.lock().unwrap().take();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn follow(stream: UnixStream, first: Frame, mut news: Receiver<Frame>) {
    let (mut reader, mut writer) = stream.into_split();
    let mut next = first;
    loop {
        match timeout(PATIENCE, writer.write_all(&next)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
        let mut nothing = [0];
        tokio::select! {
            frame = news.recv() => match frame {
                Ok(frame) => next = frame,
                Err(_) => return,
            },
            // It leaves.
            _ = reader.read(&mut nothing) => return,
        }
    }
}

fn frame(health: &Health) -> Frame {
    let mut bytes = vec![0; 4];
    health.encode(&mut bytes).expect("a vector grows as needed");
    let length = bytes.len() as u32 - 4;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes.into()
}
