//! One attached client's connection.

use super::protocol::{self, Hello};
use super::queue::Queue;
use super::replay::Replay;
use super::{Hub, Stdin};
use crate::log;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{sleep, timeout};

/// A client that accepts not one byte for this long is cut off.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client must say what it wants within this time.
const HELLO: Duration = Duration::from_secs(10);

/// A client that has got everything has this long to leave. Were the connection closed at once, one that still writes would
/// lose what it has not read yet: to many, a failed write is the end of the connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// Before the next try to capture a log that is being written.
const AGAIN: Duration = Duration::from_millis(2);

type Reader = BufReader<OwnedReadHalf>;

pub async fn serve(hub: Arc<Hub>, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::with_capacity(4096, reader);
    let hello = timeout(HELLO, protocol::read_hello(&mut reader)).await;
    let joined = match hello.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(hello) => join(&hub, hello)
            .await
            .map(|(queue, replay)| (hello, queue, replay)),
        Err(error) => Err(error),
    };
    let (hello, queue, mut replay) = match joined {
        Ok(joined) => joined,
        Err(error) => return drop(write(&mut writer, &protocol::refusal(&error)).await),
    };
    let input = tokio::spawn(take_input(hub.clone(), reader, hello, queue.clone()));
    let sent = async {
        write(&mut writer, &protocol::welcome(hub.tty)).await?;
        while let Some(replay) = &mut replay {
            let frames = replay.next()?;
            if frames.is_empty() {
                break;
            }
            write(&mut writer, &frames).await?;
        }
        send_queue(&hub, &queue, &mut writer).await
    };
    let sent = sent.await;
    hub.leave(&queue);
    let reading = input.abort_handle();
    match sent {
        Ok(()) => {
            // Shuts down our side alone.
            drop(writer);
            let _ = timeout(FAREWELL, input).await;
        }
        Err(error) => log::debug!("attached client gone: {error}"),
    }
    reading.abort();
}

/// Waits for a moment at which the log can be captured.
async fn join(hub: &Hub, hello: Hello) -> io::Result<(Arc<Queue>, Option<Replay>)> {
    loop {
        match hub.join(hello) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(AGAIN).await,
            other => return other,
        }
    }
}

async fn send_queue(hub: &Hub, queue: &Queue, writer: &mut OwnedWriteHalf) -> io::Result<()> {
    while let Some(frame) = queue.next().await {
        hub.room.notify_waiters();
        write(writer, &frame).await?;
    }
    Ok(())
}

/// Writes everything, giving up on a client that makes no progress.
async fn write(writer: &mut OwnedWriteHalf, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        timeout(PATIENCE, writer.writable())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        match writer.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the client's frames until it leaves (or shuts its sending side down), and then does what the
/// input's mode says.
async fn take_input(hub: Arc<Hub>, mut reader: Reader, hello: Hello, queue: Arc<Queue>) {
    // Armed for the case that this task is aborted: the client has then gone as well.
    let departure = Departure { hub: &hub, hello };
    let mut payload = Vec::new();
    let end = loop {
        match protocol::read_frame(&mut reader, &mut payload).await {
            Ok(Some(kind)) => handle(&hub, hello, kind, &payload).await,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(departure);
    // A client that only shut down its sending side still wants output.
    if end.is_err() || hung_up(&reader) {
        hub.leave(&queue);
    }
}

async fn handle(hub: &Hub, hello: Hello, kind: u8, payload: &[u8]) {
    match kind {
        protocol::STDIN if hello.stdin => hub.input.write_all(payload).await,
        protocol::STDIN_END if hello.stdin => hub.input.close(),
        protocol::RESIZE => {
            if let Some((rows, columns)) = protocol::size(payload)
                && let Err(error) = hub.console.resize(rows, columns)
            {
                log::warning!("resize to {rows}x{columns}: {error}");
            }
        }
        _ => {}
    }
}

/// Closes the input of `stdin=once` when its client leaves.
struct Departure<'a> {
    hub: &'a Hub,
    hello: Hello,
}

impl Drop for Departure<'_> {
    fn drop(&mut self) {
        if self.hello.stdin && self.hub.stdin == Stdin::Once {
            self.hub.input.close();
        }
    }
}

fn hung_up(reader: &Reader) -> bool {
    let socket: &UnixStream = reader.get_ref().as_ref();
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    let none = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut polled, Some(&none)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}
