//! The ttrpc face: Task v2, which every containerd speaks, and v3; Sandbox.

use super::methods::{for_each_method, for_each_sandbox_method};
use crate::proto::containerd::runtime::sandbox::v1::*;
use crate::proto::containerd::task::v3::*;
use crate::task::Shim;
use crate::ttrpc::{Request, server};
use prost::Message;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tonic::Status;

const TASK: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];
const SANDBOX: &str = "containerd.runtime.sandbox.v1.Sandbox";

/// Serves one connection until the client closes it.
pub async fn serve(shim: Arc<Shim>, stream: UnixStream) -> io::Result<()> {
    server::serve(stream, |request| answer(shim.clone(), request)).await
}

async fn answer(shim: Arc<Shim>, request: Request) -> Result<Vec<u8>, Status> {
    match request.service.as_str() {
        SANDBOX => answer_sandbox(shim, request).await,
        task if TASK.contains(&task) => answer_task(shim, request).await,
        unknown => Err(Status::unimplemented(format!("service {unknown}"))),
    }
}

macro_rules! implement {
    ($answer:ident: $($function:ident $name:literal $request:ident => $response:ty,)*) => {
        async fn $answer(shim: Arc<Shim>, request: Request) -> Result<Vec<u8>, Status> {
            match request.method.as_str() {
                $($name => {
                    let message = decode::<$request>(&request)?;
                    shim.$function(message).await.map(|response| response.encode_to_vec())
                })*
                unknown => Err(Status::unimplemented(format!("method {unknown}"))),
            }
        }
    };
}

macro_rules! implement_task { ($($row:tt)*) => { implement!(answer_task: $($row)*); } }
macro_rules! implement_sandbox { ($($row:tt)*) => { implement!(answer_sandbox: $($row)*); } }

for_each_method!(implement_task);
for_each_sandbox_method!(implement_sandbox);

fn decode<M: Message + Default>(request: &Request) -> Result<M, Status> {
    M::decode(request.payload.as_slice())
        .map_err(|e| Status::invalid_argument(format!("{}/{}: {e}", request.service, request.method)))
}
