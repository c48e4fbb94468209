//! The verbs of the contract. One at a time: each takes some tenths of a millisecond.

use crate::contracts::gantry::network::v1::network_plugin_service_server::NetworkPluginService;
use crate::contracts::gantry::network::v1::{
    AddRequest, AddResponse, Attachment, CheckRequest, CheckResponse, CreateNetworkRequest,
    CreateNetworkResponse, DelRequest, DelResponse, GcRequest, GcResponse, Interface, IpConfig,
    ListNetworksRequest, ListNetworksResponse, Network, RemoveNetworkRequest, RemoveNetworkResponse,
    Result as Joined, StatusRequest, StatusResponse, Subnet, TraceRequest, TraceResponse, UpdateRequest,
    UpdateResponse,
};
use crate::ledger::{Attached, Kept, Ledger, pair};
use crate::link;
use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tonic::{Request, Response, Status};

/// Networks get `100.64.0.0/16` and those after it: for carriers, so that nobody's own network is there (RFC 6598).
const FIRST: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 0);
const NETWORKS: u32 = 64;
const ADDRESSES: u32 = 1 << 16;

type Answer<T> = Result<Response<T>, Status>;

pub struct PointToPoint {
    ledger: Mutex<Ledger>,
    instance: String,
}

impl PointToPoint {
    pub fn open(root: &Path, instance: &str) -> io::Result<Self> {
        Ok(Self {
            ledger: Mutex::new(Ledger::open(root)?),
            instance: instance.to_owned(),
        })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unique on the host, the same each time, and at most 15 bytes.
    fn host_link(&self, request: &AddRequest) -> String {
        let mut hasher = DefaultHasher::new();
        (
            &self.instance,
            &request.network_id,
            &request.container_id,
            &request.interface_name,
        )
            .hash(&mut hasher);
        format!("gp{:013x}", hasher.finish() >> 12)
    }

    fn detach(ledger: &mut Ledger, gone: &[Attached]) -> Result<(), Status> {
        for attached in gone {
            link::delete(&attached.host_link).map_err(|error| failed(&attached.host_link, &error))?;
        }
        ledger
            .change(|state| state.attachments.retain(|kept| !gone.contains(kept)))
            .map_err(|e| failed("ledger", &e))
    }
}

#[tonic::async_trait]
impl NetworkPluginService for PointToPoint {
    async fn create_network(&self, request: Request<CreateNetworkRequest>) -> Answer<CreateNetworkResponse> {
        let asked = request
            .into_inner()
            .network
            .ok_or_else(|| Status::invalid_argument("network is missing"))?;
        check_id(&asked.id)?;
        let mut ledger = self.ledger();
        if let Some(known) = ledger
            .state
            .networks
            .iter()
            .find(|known| known.asked.id == asked.id)
        {
            if known.asked != asked && known.made != asked {
                return Err(Status::already_exists(format!(
                    "network {} with a different configuration",
                    asked.id
                )));
            }
            return Ok(Response::new(CreateNetworkResponse {
                network: Some(known.made.clone()),
            }));
        }
        if !asked.subnets.is_empty() || asked.disable_ipv4 {
            return Err(Status::invalid_argument(
                "subnets: this plugin chooses them, and knows IPv4 alone",
            ));
        }
        let bases = (0..NETWORKS).map(|nth| u32::from(FIRST) + nth * ADDRESSES);
        let free = bases
            .into_iter()
            .find(|base| ledger.state.networks.iter().all(|known| known.base != *base));
        let base =
            free.ok_or_else(|| Status::resource_exhausted(format!("all {NETWORKS} subnets are in use")))?;
        let subnet = Subnet {
            cidr: format!("{}/16", Ipv4Addr::from(base)),
            ..Subnet::default()
        };
        let made = Network {
            subnets: vec![subnet],
            ..asked.clone()
        };
        let kept = Kept {
            asked,
            made: made.clone(),
            base,
        };
        ledger
            .change(|state| state.networks.push(kept))
            .map_err(|error| failed("ledger", &error))?;
        Ok(Response::new(CreateNetworkResponse { network: Some(made) }))
    }

    async fn remove_network(&self, request: Request<RemoveNetworkRequest>) -> Answer<RemoveNetworkResponse> {
        let id = request.into_inner().network_id;
        let mut ledger = self.ledger();
        if let Some(attached) = ledger
            .state
            .attachments
            .iter()
            .find(|attached| attached.network_id == id)
        {
            let container = &attached.name.container_id;
            return Err(Status::failed_precondition(format!(
                "network {id} has container {container} attached"
            )));
        }
        let removed = ledger.change(|state| state.networks.retain(|known| known.made.id != id));
        removed.map_err(|error| failed("ledger", &error))?;
        Ok(Response::new(RemoveNetworkResponse {}))
    }

    async fn list_networks(&self, _: Request<ListNetworksRequest>) -> Answer<ListNetworksResponse> {
        let networks = self
            .ledger()
            .state
            .networks
            .iter()
            .map(|known| known.made.clone())
            .collect();
        Ok(Response::new(ListNetworksResponse { networks }))
    }

    async fn add(&self, request: Request<AddRequest>) -> Answer<AddResponse> {
        let request = request.into_inner();
        check_wishes(&request)?;
        let mut ledger = self.ledger();
        let known = ledger
            .state
            .networks
            .iter()
            .find(|known| known.made.id == request.network_id);
        let base = known
            .ok_or_else(|| Status::not_found(format!("network {}", request.network_id)))?
            .base;
        let namespace = open_namespace(&request.netns_path)?;
        let attached = match find(
            &ledger,
            &request.network_id,
            &request.container_id,
            &request.interface_name,
        ) {
            Some(known) => known,
            None => self.allot(&mut ledger, &request)?,
        };
        match connect(&attached, base, &namespace) {
            Ok(result) => Ok(Response::new(AddResponse { result: Some(result) })),
            Err(error) => {
                Self::detach(&mut ledger, std::slice::from_ref(&attached))?;
                Err(failed(&attached.host_link, &error))
            }
        }
    }

    async fn del(&self, request: Request<DelRequest>) -> Answer<DelResponse> {
        let DelRequest {
            network_id,
            container_id,
            interface_name,
            ..
        } = request.into_inner();
        let mut ledger = self.ledger();
        if let Some(attached) = find(&ledger, &network_id, &container_id, &interface_name) {
            Self::detach(&mut ledger, &[attached])?;
        }
        Ok(Response::new(DelResponse {}))
    }

    async fn update(&self, _: Request<UpdateRequest>) -> Answer<UpdateResponse> {
        Err(Status::unimplemented(
            "update: attachments of this network plugin cannot be changed",
        ))
    }

    async fn trace(&self, _: Request<TraceRequest>) -> Answer<TraceResponse> {
        Err(Status::unimplemented(
            "trace: this network plugin filters nothing",
        ))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Answer<CheckResponse> {
        let CheckRequest {
            network_id,
            container_id,
            interface_name,
            ..
        } = request.into_inner();
        let attached =
            find(&self.ledger(), &network_id, &container_id, &interface_name).ok_or_else(|| {
                Status::not_found(format!("attachment of container {container_id} to {network_id}"))
            })?;
        let seen = open_namespace(&attached.netns_path).and_then(|namespace| {
            link::inside(&namespace, || link::mac(&interface_name))
                .map_err(|error| failed(&interface_name, &error))
        });
        seen.map_err(|status| {
            Status::failed_precondition(format!("attachment of {container_id}: {}", status.message()))
        })?;
        Ok(Response::new(CheckResponse {}))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        Ok(Response::new(StatusResponse {}))
    }

    async fn gc(&self, request: Request<GcRequest>) -> Answer<GcResponse> {
        let GcRequest {
            network_id,
            valid_attachments,
            dry_run,
        } = request.into_inner();
        let mut ledger = self.ledger();
        let gone: Vec<Attached> = ledger
            .state
            .attachments
            .iter()
            .cloned()
            .filter(|kept| kept.network_id == network_id && !valid_attachments.contains(&kept.name))
            .collect();
        if !dry_run {
            Self::detach(&mut ledger, &gone)?;
        }
        let removed = gone.iter().map(|Attached { name, .. }| {
            format!("attachment of {} ({})", name.container_id, name.interface_name)
        });
        Ok(Response::new(GcResponse {
            removed: removed.collect(),
        }))
    }
}

impl PointToPoint {
    /// A place in the network, written down.
    fn allot(&self, ledger: &mut Ledger, request: &AddRequest) -> Result<Attached, Status> {
        let taken = |index: &u32| {
            let mut own = ledger
                .state
                .attachments
                .iter()
                .filter(|kept| kept.network_id == request.network_id);
            own.any(|kept| kept.index == *index)
        };
        let free = (0..ADDRESSES / 2).find(|index| !taken(index));
        let index = free
            .ok_or_else(|| Status::resource_exhausted(format!("network {} is full", request.network_id)))?;
        let name = Attachment {
            container_id: request.container_id.clone(),
            interface_name: request.interface_name.clone(),
        };
        let attached = Attached {
            network_id: request.network_id.clone(),
            name,
            index,
            netns_path: request.netns_path.clone(),
            host_link: self.host_link(request),
        };
        ledger
            .change(|state| state.attachments.push(attached.clone()))
            .map_err(|error| failed("ledger", &error))?;
        Ok(attached)
    }
}

/// Makes what is missing of the pair.
fn connect(attached: &Attached, base: u32, namespace: &File) -> io::Result<Joined> {
    let name = &attached.name.interface_name;
    let (host, own) = pair(base, attached.index);
    if link::inside(namespace, || link::mac(name)).is_err() {
        link::delete(&attached.host_link)?;
        link::make_pair(&attached.host_link, name, namespace)?;
    }
    link::raise(&attached.host_link, host)?;
    let mac = link::inside(namespace, || {
        link::raise(name, own).and_then(|()| link::mac(name))
    })?;
    let interface = Interface {
        name: name.clone(),
        mac,
        sandbox: attached.netns_path.clone(),
        ..Interface::default()
    };
    let ip = IpConfig {
        address: format!("{own}/31"),
        gateway: host.to_string(),
        interface: Some(0),
    };
    Ok(Joined {
        interfaces: vec![interface],
        ips: vec![ip],
        ..Joined::default()
    })
}

fn find(ledger: &Ledger, network_id: &str, container_id: &str, interface_name: &str) -> Option<Attached> {
    let mut attachments = ledger.state.attachments.iter();
    attachments
        .find(|kept| kept.is(network_id, container_id, interface_name))
        .cloned()
}

fn open_namespace(path: &str) -> Result<File, Status> {
    let none = |error: io::Error| Status::not_found(format!("no network namespace at \"{path}\" ({error})"));
    let file = File::open(path).map_err(none)?;
    link::inside(&file, || Ok(())).map_err(none)?;
    Ok(file)
}

fn check_id(id: &str) -> Result<(), Status> {
    if id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "network id \"{id}\" is not 64 hexadecimal digits"
    )))
}

/// What this network cannot give is refused, never left out in silence.
fn check_wishes(request: &AddRequest) -> Result<(), Status> {
    check_id(&request.network_id)?;
    let name = &request.interface_name;
    if name.is_empty() || name.len() > 15 || name == "lo" || name.contains(['/', ':', '%', ' ', '.']) {
        return Err(Status::invalid_argument(format!(
            "interface_name \"{name}\" is no name for a link"
        )));
    }
    if request.container_id.is_empty() {
        return Err(Status::invalid_argument("container_id is empty"));
    }
    if let Some(option) = request.options.keys().find(|key| key.starts_with("gantry.")) {
        return Err(Status::invalid_argument(format!(
            "options: \"{option}\" is not one of this network's"
        )));
    }
    let refused = [
        (!request.ports.is_empty(), "ports: this network publishes none"),
        (
            !request.addresses.is_empty(),
            "addresses: this network chooses them",
        ),
        (!request.mac.is_empty(), "mac: this network chooses it"),
    ];
    match refused.iter().find(|(asked, _)| *asked) {
        Some((_, reason)) => Err(Status::invalid_argument(*reason)),
        None => Ok(()),
    }
}

fn failed(what: &str, error: &io::Error) -> Status {
    Status::internal(format!("{what}: {error}"))
}
