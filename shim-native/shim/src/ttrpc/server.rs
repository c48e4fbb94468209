//! The serving end of one connection.

use super::{Request, Response, frame};
use crate::proto::google::rpc::Status as WireStatus;
use prost::Message;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Status;

/// Answers calls until the client hangs up. Calls run side by side (a `Wait` may last for days); those
/// still unanswered at the end are dropped. `handle` turns a request into the answer's payload.
pub async fn serve<H, F>(stream: UnixStream, handle: H) -> io::Result<()>
where
    H: Fn(Request) -> F,
    F: Future<Output = Result<Vec<u8>, Status>> + Send + 'static,
{
    let (mut reader, writer) = stream.into_split();
    let (answers, queue) = mpsc::channel(16);
    let mut calls = JoinSet::new();
    calls.spawn(write_answers(writer, queue));
    while let Some(frame) = frame::read(&mut reader).await? {
        while calls.try_join_next().is_some() {}
        if frame.kind != frame::REQUEST {
            continue;
        }
        let answers = answers.clone();
        match decode(frame.payload) {
            Ok(request) => {
                let call = handle(request);
                calls.spawn(async move { send(&answers, frame.stream, call.await).await });
            }
            Err(status) => send(&answers, frame.stream, Err(status)).await,
        }
    }
    Ok(())
}

fn decode(payload: Option<Vec<u8>>) -> Result<Request, Status> {
    let payload = payload.ok_or_else(|| {
        Status::resource_exhausted(format!(
            "message exceeds the limit of {} bytes",
            frame::MAX_PAYLOAD
        ))
    })?;
    Request::decode(payload.as_slice())
        .map_err(|e| Status::invalid_argument(format!("not a ttrpc request: {e}")))
}

async fn send(answers: &mpsc::Sender<Vec<u8>>, stream: u32, result: Result<Vec<u8>, Status>) {
    let response = match result {
        Ok(payload) => Response {
            status: None,
            payload,
        },
        Err(status) => Response {
            status: Some(wire_status(&status)),
            payload: Vec::new(),
        },
    };
    let _ = answers
        .send(frame::encode(stream, frame::RESPONSE, &response))
        .await;
}

async fn write_answers(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        if writer.write_all(&bytes).await.is_err() {
            break;
        }
    }
}

fn wire_status(status: &Status) -> WireStatus {
    WireStatus {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    }
}
