//! The ttrpc face: Task v2, which every containerd speaks, and v3.

use super::methods::for_each_method;
use crate::proto::containerd::task::v3::*;
use crate::task::Shim;
use crate::ttrpc::{Request, server};
use prost::Message;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tonic::Status;

const SERVICES: [&str; 2] = ["containerd.task.v2.Task", "containerd.task.v3.Task"];

/// Serves one connection until the client closes it.
pub async fn serve(shim: Arc<Shim>, stream: UnixStream) -> io::Result<()> {
    server::serve(stream, |request| answer(shim.clone(), request)).await
}

macro_rules! implement {
    ($($function:ident $name:literal $request:ident => $response:ty,)*) => {
        async fn answer(shim: Arc<Shim>, request: Request) -> Result<Vec<u8>, Status> {
            if !SERVICES.contains(&request.service.as_str()) {
                return Err(Status::unimplemented(format!("service {}", request.service)));
            }
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

for_each_method!(implement);

fn decode<M: Message + Default>(request: &Request) -> Result<M, Status> {
    M::decode(request.payload.as_slice())
        .map_err(|e| Status::invalid_argument(format!("{}/{}: {e}", request.service, request.method)))
}
