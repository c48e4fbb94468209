//! Generates the wire types from the contracts in `api/proto`, without needing `protoc`.
//!
//! Only `containerd.task.v3` is generated: v2 has the same messages, so one set of types serves both.

use std::path::PathBuf;

const PROTOS: [&str; 12] = [
    "containerd/task/v3/task.proto",
    "containerd/events/task.proto",
    "containerd/runc/v1/options.proto",
    "containerd/runtime/bootstrap/v1/bootstrap.proto",
    "containerd/runtime/sandbox/v1/sandbox.proto",
    "containerd/services/events/ttrpc/v1/events.proto",
    "containerd/types/introspection.proto",
    "gantry/health/v1/health.proto",
    "google/rpc/status.proto",
    "io/containerd/cgroups/v1/metrics.proto",
    "io/containerd/cgroups/v2/metrics.proto",
    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../api/proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(PROTOS, [&root])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .include_file("protocols.rs")
        .compile_fds(descriptors)?;
    Ok(())
}
