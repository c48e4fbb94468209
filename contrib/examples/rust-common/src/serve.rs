//! What every Gantry plugin does, in Rust: the environment, the root's lock, health, who it is, a clean end.
//!
//! `serve(|root, config| ...)` calls back when the root is its own, and serves the answer until it is told to stop.

use crate::contracts::gantry::plugin::v1 as plugin;
use crate::contracts::grpc::health::v1 as health;
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// Calls under way when it is told to stop may take so long.
const DRAIN: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error>;

/// Serves what `open(root, config)` answers, a gRPC service of the plugin's kind, until SIGTERM, SIGINT or the end of
/// gantryd. `config` is the configuration table as JSON.
pub fn serve(open: impl FnOnce(&Path, &str) -> Result<Routes, Failure>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(open))
}

async fn run(open: impl FnOnce(&Path, &str) -> Result<Routes, Failure>) -> Result<(), Failure> {
    let address = required("GANTRY_PLUGIN_ADDRESS")?;
    let root = PathBuf::from(required("GANTRY_PLUGIN_ROOT")?);
    let config = env::var("GANTRY_PLUGIN_CONFIG").unwrap_or_else(|_| "{}".into());
    fs::create_dir_all(&root)?;
    // Held until the process ends: nobody else works on this root meanwhile.
    let _lock = lock(&root).await?;
    let routes = open(&root, &config)?
        .add_service(health::health_server::HealthServer::new(Serving))
        .add_service(plugin::plugin_service_server::PluginServiceServer::new(
            Identity::read(&root)?,
        ));
    let _ = fs::remove_file(&address);
    let listener = UnixListener::bind(&address)?;
    eprintln!("serving at {address}");
    let ended = asked_to_stop();
    let server = tonic::transport::Server::builder().add_routes(routes);
    let serving = server.serve_with_incoming_shutdown(UnixListenerStream::new(listener), ended);
    tokio::pin!(serving);
    tokio::select! {
        done = &mut serving => Ok(done?),
        () = async { asked_to_stop().await; tokio::time::sleep(DRAIN).await } => Ok(()),
    }
}

fn required(name: &str) -> Result<String, Failure> {
    env::var(name).map_err(|_| format!("{name} is not set: gantryd starts this program").into())
}

/// A process of a gantryd that was killed may hold it for a moment.
async fn lock(root: &Path) -> Result<fs::File, Failure> {
    let path = root.join(".lock");
    let file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
    for _ in 0..400 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(format!("root {} is in use by another process", root.display()).into())
}

/// Resolves when the process shall end: by a signal, or with the gantryd that holds the other end of stdin.
async fn asked_to_stop() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    let parent_gone = async {
        if env::var("GANTRY_PLUGIN_WATCH_STDIN").as_deref() != Ok("1") {
            return std::future::pending().await;
        }
        while matches!(tokio::io::stdin().read(&mut [0; 64]).await, Ok(count) if count > 0) {}
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
        () = parent_gone => {}
    }
}

struct Serving;

#[tonic::async_trait]
impl health::health_server::Health for Serving {
    async fn check(
        &self,
        _: Request<health::HealthCheckRequest>,
    ) -> Result<Response<health::HealthCheckResponse>, Status> {
        let status = health::health_check_response::ServingStatus::Serving.into();
        Ok(Response::new(health::HealthCheckResponse { status }))
    }

    async fn list(
        &self,
        _: Request<health::HealthListRequest>,
    ) -> Result<Response<health::HealthListResponse>, Status> {
        Err(Status::unimplemented("list: not implemented"))
    }

    type WatchStream = Pin<
        Box<dyn tokio_stream::Stream<Item = Result<health::HealthCheckResponse, Status>> + Send + 'static>,
    >;

    async fn watch(
        &self,
        _: Request<health::HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch: not implemented"))
    }
}

/// Who it is: what `plugin.toml` beside the program says.
struct Identity(plugin::GetInfoResponse);

impl Identity {
    fn read(root: &Path) -> Result<Self, Failure> {
        let manifest = env::current_exe()?.with_file_name("plugin.toml");
        let text =
            fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.unwrap_or_default()
                .trim()
                .trim_matches(['"', '[', ']'])
                .to_owned()
        };
        let words = value("capabilities");
        let capabilities = words
            .split(',')
            .map(|word| word.trim().trim_matches('"').to_owned());
        Ok(Self(plugin::GetInfoResponse {
            id: value("id"),
            kind: value("kind"),
            version: value("version"),
            capabilities: capabilities.filter(|word| !word.is_empty()).collect(),
            config_schema_json: String::new(),
            exports: HashMap::from([("root".to_owned(), root.display().to_string())]),
        }))
    }
}

#[tonic::async_trait]
impl plugin::plugin_service_server::PluginService for Identity {
    async fn get_info(
        &self,
        _: Request<plugin::GetInfoRequest>,
    ) -> Result<Response<plugin::GetInfoResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }
}
