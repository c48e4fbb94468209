//! Clients of the Task service: a ttrpc one written from the protocol's description, and tonic's.

use prost::Message;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Ttrpc,
}

pub const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Ttrpc];

/// A status code and message.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: i32,
    pub message: String,
}

pub type Answer<T> = Result<T, Refusal>;

pub enum Client {
    Grpc(tokio::runtime::Runtime, Channel),
    Ttrpc(Mutex<(UnixStream, u32)>),
}

#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub status: Option<super::proto::google::rpc::Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}

impl Client {
    pub fn connect(path: &Path, protocol: Protocol) -> Client {
        match protocol {
            Protocol::Ttrpc => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                Client::Ttrpc(Mutex::new((stream, 1)))
            }
            Protocol::Grpc => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let endpoint = Endpoint::try_from(format!("unix://{}", path.display())).unwrap();
                let channel = runtime
                    .block_on(endpoint.timeout(Duration::from_secs(60)).connect())
                    .unwrap();
                Client::Grpc(runtime, channel)
            }
        }
    }

    pub fn call<Q: Message + Clone + 'static, R: Message + Default + 'static>(
        &self,
        method: &str,
        request: &Q,
    ) -> Answer<R> {
        match self {
            Client::Grpc(runtime, channel) => runtime.block_on(grpc(channel, method, request)),
            Client::Ttrpc(connection) => ttrpc(
                &mut connection.lock().unwrap(),
                "containerd.task.v2.Task",
                method,
                request,
            ),
        }
    }
}

async fn grpc<Q, R>(channel: &Channel, method: &str, request: &Q) -> Answer<R>
where
    Q: Message + Clone + 'static,
    R: Message + Default + 'static,
{
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = format!("/containerd.task.v3.Task/{method}").parse().unwrap();
    let codec = tonic_prost::ProstCodec::<Q, R>::default();
    let answer = client
        .unary(tonic::Request::new(request.clone()), path, codec)
        .await;
    answer.map(tonic::Response::into_inner).map_err(|s| Refusal {
        code: s.code() as i32,
        message: s.message().into(),
    })
}

pub fn ttrpc<R: Message + Default>(
    (stream, next): &mut (UnixStream, u32),
    service: &str,
    method: &str,
    request: &impl Message,
) -> Answer<R> {
    let request = Request {
        service: service.into(),
        method: method.into(),
        payload: request.encode_to_vec(),
    };
    write_frame(stream, *next, 1, &request.encode_to_vec());
    let (id, kind, payload) = read_frame(stream).expect("the shim hung up");
    assert_eq!((id, kind), (*next, 2));
    *next += 2;
    let response = Response::decode(payload.as_slice()).unwrap();
    match response.status {
        Some(status) if status.code != 0 => Err(Refusal {
            code: status.code,
            message: status.message,
        }),
        _ => Ok(R::decode(response.payload.as_slice()).unwrap()),
    }
}

pub fn write_frame(to: &mut UnixStream, stream: u32, kind: u8, payload: &[u8]) {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(&[kind, 0]);
    bytes.extend_from_slice(payload);
    to.write_all(&bytes).unwrap();
}

pub fn read_frame(from: &mut UnixStream) -> Option<(u32, u8, Vec<u8>)> {
    let mut header = [0; 10];
    from.read_exact(&mut header).ok()?;
    let word = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut payload = vec![0; word(0) as usize];
    from.read_exact(&mut payload).ok()?;
    Some((word(4), header[8], payload))
}
