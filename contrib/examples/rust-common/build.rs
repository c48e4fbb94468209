//! Makes the wire types from `contract.binpb`, which holds the contracts of all kinds (no `protoc` needed).

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=contract.binpb");
    let contracts = prost_types::FileDescriptorSet::decode(&*std::fs::read("contract.binpb")?)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .include_file("contracts.rs")
        .compile_fds(contracts)?;
    Ok(())
}
