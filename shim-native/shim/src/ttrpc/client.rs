//! The calling end: one call at a time over a connection that is kept.

use super::{Request, Response, frame};
use crate::proto::google::rpc::Status;
use prost::Message;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// A connection to a ttrpc server.
pub struct Client {
    stream: UnixStream,
    next: u32,
}

impl Client {
    /// Connects to `address`: a path, with or without `unix://`.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let path = address.strip_prefix("unix://").unwrap_or(address);
        Ok(Client {
            stream: UnixStream::connect(path).await?,
            next: 1,
        })
    }

    /// Sends `request` and waits for its answer. `Err` means the connection is unusable; `Ok(Err(_))` is
    /// the server's refusal.
    pub async fn call(&mut self, request: &Request) -> io::Result<Result<Vec<u8>, Status>> {
        let stream = self.next;
        self.next += 2;
        self.stream
            .write_all(&frame::encode(stream, frame::REQUEST, request))
            .await?;
        loop {
            let answer = frame::read(&mut self.stream).await?;
            let answer = answer.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            // An answer to a call given up earlier.
            if answer.stream != stream {
                continue;
            }
            let payload = answer
                .payload
                .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            let response = Response::decode(payload.as_slice())?;
            return Ok(match response.status {
                Some(status) if status.code != 0 => Err(status),
                _ => Ok(response.payload),
            });
        }
    }
}
