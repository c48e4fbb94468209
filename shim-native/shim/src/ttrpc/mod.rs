//! ttrpc: containerd's small RPC protocol, both ends. Unary calls only; nobody streams at a shim.
//!
//! A message is a 10-byte header (`length u32be | stream u32be | type u8 | flags u8`) and a protobuf
//! payload of at most 4 MiB. Streams of a client are odd and increase; the answer bears the same number.

pub mod client;
mod frame;
pub mod server;

use crate::proto::google::rpc::Status;

/// The envelope of a call (ttrpc's `Request`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(string, tag = "2")]
    pub method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub timeout_nano: i64,
    #[prost(message, repeated, tag = "5")]
    pub metadata: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The envelope of an answer (ttrpc's `Response`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub payload: Vec<u8>,
}
