//! A network plugin in Rust: each container is joined to the host by a pair of links, and to nobody else.
//!
//! What a network plugin must do is told by the contract, gantry/network/v1/network.proto, and judged by
//! `gctr plugins check`. serve.rs is the part that every plugin has.

mod contracts {
    #![allow(clippy::all, clippy::pedantic, dead_code)]
    tonic::include_proto!("contracts");
}
mod ledger;
mod link;
mod serve;
mod service;

use contracts::gantry::network::v1::network_plugin_service_server::NetworkPluginServiceServer;
use tonic::service::Routes;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve::serve(|root, _config| {
        let instance = std::env::var("GANTRY_INSTANCE").unwrap_or_else(|_| "00000000".into());
        let service = service::PointToPoint::open(root, &instance)?;
        Ok(Routes::new(NetworkPluginServiceServer::new(service)))
    })
}
