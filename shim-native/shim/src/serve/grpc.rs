//! The gRPC face: Task v3, and v2 under its own name; Sandbox.

use super::methods::{for_each_method, for_each_sandbox_method};
use crate::proto::containerd::runtime::sandbox::v1::sandbox_server::{Sandbox, SandboxServer};
use crate::proto::containerd::runtime::sandbox::v1::*;
use crate::proto::containerd::task::v3::task_server::{Task, TaskServer};
use crate::proto::containerd::task::v3::*;
use crate::task::Shim;
use crate::trace;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tonic::{Request, Response, Status};
use tower_service::Service;

/// Largest message taken, containerd's own limit.
const MAX_MESSAGE: usize = 16 << 20;

const V2: &str = "/containerd.task.v2.Task/";
const V3: &str = "/containerd.task.v3.Task/";
const SANDBOX: &str = "/containerd.runtime.sandbox.v1.Sandbox/";

struct Face(Arc<Shim>);

macro_rules! implement {
    ($service:ident $full:literal: $($function:ident $name:literal $request:ident => $response:ty,)*) => {
        #[tonic::async_trait]
        impl $service for Face {
            $(async fn $function(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let call = |request: Request<$request>| self.0.$function(request.into_inner());
                match trace::asked_for(request.metadata()) {
                    None => call(request).await.map(Response::new),
                    Some(parent) => {
                        let name = concat!($full, "/", $name);
                        trace::traced(parent, name, call(request)).await
                    }
                }
            })*
        }
    };
}

macro_rules! implement_task { ($($row:tt)*) => { implement!(Task "containerd.task.v3.Task": $($row)*); } }
macro_rules! implement_sandbox { ($($row:tt)*) => { implement!(Sandbox "containerd.runtime.sandbox.v1.Sandbox": $($row)*); } }

for_each_method!(implement_task);
for_each_sandbox_method!(implement_sandbox);

/// Serves one connection until the client closes it.
pub async fn serve(shim: Arc<Shim>, stream: UnixStream) -> io::Result<()> {
    let sandbox = SandboxServer::new(Face(shim.clone())).max_decoding_message_size(MAX_MESSAGE);
    let task = TaskServer::new(Face(shim)).max_decoding_message_size(MAX_MESSAGE);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if request.uri().path().starts_with(SANDBOX) {
            return sandbox.clone().call(request);
        }
        speak_v3(&mut request);
        task.clone().call(request)
    });
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    connection.await.map_err(io::Error::other)
}

/// The two versions differ in the service's name alone.
fn speak_v3(request: &mut http::Request<Incoming>) {
    if let Some(method) = request.uri().path().strip_prefix(V2)
        && let Ok(uri) = format!("{V3}{method}").parse()
    {
        *request.uri_mut() = uri;
    }
}
