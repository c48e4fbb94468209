//! A snapshotter in Rust: each snapshot is a directory, a child is a copy of its parent.
//!
//! What a snapshotter must do is told by the contract in plugins/sdk/snapshotter.ts and judged by `gctr plugins check`.
//! serve.rs is the part that every plugin has.

mod contracts {
    #![allow(clippy::all, clippy::pedantic, dead_code)]
    tonic::include_proto!("contracts");
}
mod filters;
mod records;
mod serve;
mod service;
mod trees;

use contracts::containerd::services::snapshots::v1::snapshots_server::SnapshotsServer;
use tonic::service::Routes;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve::serve(|root, _config| {
        let service = service::Copies::open(root)?;
        Ok(Routes::new(SnapshotsServer::new(service)))
    })
}
