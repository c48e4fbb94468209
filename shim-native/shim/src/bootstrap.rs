//! What a daemon says on `start`'s standard input, and the answer it understands.
//!
//! Three dialects exist. containerd >= 2.3 writes `BootstrapParams` and reads `BootstrapResult`; older
//! ones write an `Any` (or nothing) and read one plain address line; our own core asks for gRPC by the
//! environment and reads JSON.

use crate::proto::containerd::runc::v1::Options;
use crate::proto::containerd::runtime::bootstrap::v1::{BootstrapParams, BootstrapResult, LogLevel};
use prost::Message;
use prost_types::Any;

/// The environment variable by which Gantry's core asks for Task v3 over gRPC.
pub const PROTOCOL_VARIABLE: &str = "GANTRY_SHIM_PROTOCOL";

/// Where the reader of our answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JSON with a bare path: Task v3 over gRPC.
    Gantry,
    /// Binary `BootstrapResult`: Task v3 over ttrpc.
    Bootstrap,
    /// A plain `unix://` line, which means Task v2 over ttrpc to every older daemon.
    Plain,
}

/// The decoded input.
#[derive(Debug, Default)]
pub struct Input {
    pub params: Option<BootstrapParams>,
    /// Runtime options, from either form.
    pub options: Option<Options>,
}

impl Input {
    /// Reads `bytes` as params if they name this very shim (an `Any` can decode as params too), else as
    /// an `Any` of options. Bytes that are neither are an error.
    pub fn parse(bytes: &[u8], id: &str, namespace: &str) -> Result<Self, String> {
        if bytes.is_empty() {
            return Ok(Input::default());
        }
        if let Some(params) = params_for(bytes, id, namespace) {
            let options = params
                .extensions
                .iter()
                .filter_map(|e| e.value.as_ref())
                .find_map(options);
            return Ok(Input {
                params: Some(params),
                options,
            });
        }
        let any = Any::decode(bytes)
            .map_err(|e| format!("standard input is neither BootstrapParams nor an Any: {e}"))?;
        Ok(Input {
            params: None,
            options: options(&any),
        })
    }

    pub fn dialect(&self, wanted: Option<&str>) -> Dialect {
        match (wanted, &self.params) {
            (Some("grpc"), _) => Dialect::Gantry,
            (_, Some(_)) => Dialect::Bootstrap,
            _ => Dialect::Plain,
        }
    }

    /// Directory the daemon wants sockets in.
    pub fn socket_dir(&self) -> Option<&str> {
        self.params
            .as_ref()?
            .socket_dir
            .as_deref()
            .filter(|dir| !dir.is_empty())
    }

    pub fn wants_debug(&self) -> bool {
        self.params
            .as_ref()
            .is_some_and(|p| p.log_level <= LogLevel::Debug as i32)
    }
}

impl Dialect {
    /// The bytes to print for a shim that listens on `path`.
    pub fn answer(self, path: &str) -> Vec<u8> {
        match self {
            Dialect::Gantry => {
                let answer = serde_json::json!({"version": 3, "address": path, "protocol": "grpc"});
                answer.to_string().into_bytes()
            }
            Dialect::Bootstrap => BootstrapResult {
                version: 3,
                address: format!("unix://{path}"),
                protocol: "ttrpc".into(),
                ..Default::default()
            }
            .encode_to_vec(),
            Dialect::Plain => format!("unix://{path}").into_bytes(),
        }
    }
}

fn params_for(bytes: &[u8], id: &str, namespace: &str) -> Option<BootstrapParams> {
    let params = BootstrapParams::decode(bytes).ok()?;
    (params.instance_id == id && params.namespace == namespace).then_some(params)
}

/// Decodes `containerd.runc.v1.Options`; other types belong to other runtimes and are left alone.
pub fn options(any: &Any) -> Option<Options> {
    let name = any.type_url.rsplit('/').next()?;
    (name == "containerd.runc.v1.Options").then(|| Options::decode(any.value.as_slice()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::containerd::runtime::bootstrap::v1::Extension;

    fn some_options() -> Any {
        let options = Options {
            systemd_cgroup: true,
            shim_cgroup: "/s".into(),
            ..Default::default()
        };
        Any {
            type_url: "containerd.runc.v1.Options".into(),
            value: options.encode_to_vec(),
        }
    }

    #[test]
    fn tells_params_from_options() {
        let params = BootstrapParams {
            instance_id: "c1".into(),
            namespace: "n".into(),
            socket_dir: Some("/s".into()),
            extensions: vec![Extension {
                value: Some(some_options()),
            }],
            ..Default::default()
        };
        let input = Input::parse(&params.encode_to_vec(), "c1", "n").unwrap();
        assert_eq!(input.dialect(None), Dialect::Bootstrap);
        assert_eq!(input.socket_dir(), Some("/s"));
        assert!(input.options.unwrap().systemd_cgroup);

        let input = Input::parse(&some_options().encode_to_vec(), "c1", "n").unwrap();
        assert_eq!(input.dialect(None), Dialect::Plain);
        assert_eq!(input.dialect(Some("grpc")), Dialect::Gantry);
        assert_eq!(input.options.unwrap().shim_cgroup, "/s");
    }

    #[test]
    fn nothing_is_fine_and_rubbish_is_not() {
        assert!(Input::parse(b"", "c", "n").unwrap().options.is_none());
        assert!(
            Input::parse(&[0xff; 9], "c", "n")
                .unwrap_err()
                .contains("BootstrapParams")
        );
    }

    #[test]
    fn answers_in_each_dialect() {
        assert_eq!(Dialect::Plain.answer("/s/1"), b"unix:///s/1");
        let json: serde_json::Value = serde_json::from_slice(&Dialect::Gantry.answer("/s/1")).unwrap();
        assert_eq!(
            (json["version"].as_i64(), json["address"].as_str()),
            (Some(3), Some("/s/1"))
        );
        let result = BootstrapResult::decode(Dialect::Bootstrap.answer("/s/1").as_slice()).unwrap();
        assert_eq!((result.version, result.address.as_str()), (3, "unix:///s/1"));
    }
}
