//! The methods of containerd.services.snapshots.v1.Snapshots, one at a time.

use crate::contracts::containerd::services::snapshots::v1 as api;
use crate::contracts::containerd::types::Mount;
use crate::filters::Filters;
use crate::records::{Records, Row};
use api::{Info, Kind};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tonic::{Request, Response, Status};

/// Rows of one message of List.
const PAGE: usize = 100;

type Answer<T> = Result<Response<T>, Status>;

pub struct Copies {
    records: Arc<Mutex<Records>>,
}

impl Copies {
    pub fn open(root: &Path) -> io::Result<Self> {
        let records = Arc::new(Mutex::new(Records::open(root)?));
        Ok(Self { records })
    }

    /// Does it on a thread of its own: copies take long, and health is asked meanwhile.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Records) -> Result<T, Status> + Send + 'static,
    ) -> Answer<T> {
        let records = Arc::clone(&self.records);
        let done = tokio::task::spawn_blocking(move || {
            let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut records)
        });
        done.await
            .map_err(|error| Status::internal(error.to_string()))?
            .map(Response::new)
    }
}

fn failed(error: io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::StorageFull => Status::resource_exhausted(format!("{error}: resource exhausted")),
        _ => Status::internal(error.to_string()),
    }
}

fn get<'a>(records: &'a Records, name: &str) -> Result<&'a Row, Status> {
    let missing = || Status::not_found(format!("snapshot {name} does not exist: not found"));
    records.rows().get(name).ok_or_else(missing)
}

fn free(records: &Records, name: &str) -> Result<(), Status> {
    if name.is_empty() {
        return Err(Status::invalid_argument(
            "a snapshot needs a name: invalid argument",
        ));
    }
    if records.rows().contains_key(name) {
        return Err(Status::already_exists(format!("snapshot {name}: already exists")));
    }
    Ok(())
}

fn make(
    records: &mut Records,
    key: String,
    parent: String,
    labels: HashMap<String, String>,
    kind: Kind,
) -> Result<Vec<Mount>, Status> {
    free(records, &key)?;
    let above = match parent.as_str() {
        "" => None,
        name => Some(get(records, name)?)
            .filter(|row| row.is(Kind::Committed))
            .map(|row| row.tree),
    };
    if above.is_none() && !parent.is_empty() {
        let message = format!("parent {parent} is not committed: invalid argument");
        return Err(Status::invalid_argument(message));
    }
    let tree = records.next_tree();
    records.trees.make(tree, above).map_err(failed)?;
    let info = Info {
        name: key.clone(),
        parent,
        labels,
        ..stamped(kind)
    };
    let row = Row { tree, info };
    let mounts = mounts(records, &row);
    records
        .change(|rows| drop(rows.insert(key, row)))
        .map_err(failed)?;
    Ok(mounts)
}

fn stamped(kind: Kind) -> Info {
    let now = Some(SystemTime::now().into());
    Info {
        kind: kind.into(),
        created_at: now,
        updated_at: now,
        ..Info::default()
    }
}

fn mounts(records: &Records, row: &Row) -> Vec<Mount> {
    let access = if row.is(Kind::View) { "ro" } else { "rw" };
    vec![Mount {
        r#type: "bind".to_owned(),
        source: records.trees.path(row.tree).display().to_string(),
        options: vec!["rbind".to_owned(), access.to_owned()],
        ..Mount::default()
    }]
}

/// What a field mask names, changed; an empty value takes a label away.
fn relabel(labels: &mut HashMap<String, String>, wish: &Info, mask: &[String]) -> Result<(), Status> {
    let whole = vec!["labels".to_owned()];
    for path in if mask.is_empty() { &whole } else { mask } {
        match path.strip_prefix("labels.") {
            Some(key) => {
                drop(labels.insert(key.to_owned(), wish.labels.get(key).cloned().unwrap_or_default()))
            }
            None if path == "labels" => labels.clone_from(&wish.labels),
            None => {
                let message = format!("cannot change {path} of a snapshot: invalid argument");
                return Err(Status::invalid_argument(message));
            }
        }
    }
    labels.retain(|_, value| !value.is_empty());
    Ok(())
}

#[tonic::async_trait]
impl api::snapshots_server::Snapshots for Copies {
    async fn prepare(
        &self,
        request: Request<api::PrepareSnapshotRequest>,
    ) -> Answer<api::PrepareSnapshotResponse> {
        let asked = request.into_inner();
        self.apart(move |records| {
            let mounts = make(records, asked.key, asked.parent, asked.labels, Kind::Active)?;
            Ok(api::PrepareSnapshotResponse { mounts })
        })
        .await
    }

    async fn view(&self, request: Request<api::ViewSnapshotRequest>) -> Answer<api::ViewSnapshotResponse> {
        let asked = request.into_inner();
        self.apart(move |records| {
            let mounts = make(records, asked.key, asked.parent, asked.labels, Kind::View)?;
            Ok(api::ViewSnapshotResponse { mounts })
        })
        .await
    }

    async fn mounts(&self, request: Request<api::MountsRequest>) -> Answer<api::MountsResponse> {
        let key = request.into_inner().key;
        self.apart(move |records| {
            let row = get(records, &key)?;
            if row.is(Kind::Committed) {
                let message = format!("{key} is committed: failed precondition");
                return Err(Status::failed_precondition(message));
            }
            let mounts = mounts(records, row);
            Ok(api::MountsResponse { mounts })
        })
        .await
    }

    async fn commit(&self, request: Request<api::CommitSnapshotRequest>) -> Answer<()> {
        let asked = request.into_inner();
        self.apart(move |records| {
            free(records, &asked.name)?;
            let was = get(records, &asked.key)?;
            if !was.is(Kind::Active) {
                let message = format!("{} is not active: failed precondition", asked.key);
                return Err(Status::failed_precondition(message));
            }
            if !asked.parent.is_empty() && asked.parent != was.info.parent {
                let message = format!(
                    "{} has another parent; prepare it on that parent: not implemented",
                    asked.key
                );
                return Err(Status::unimplemented(message));
            }
            let info = Info {
                name: asked.name.clone(),
                parent: was.info.parent.clone(),
                labels: asked.labels,
                ..stamped(Kind::Committed)
            };
            let tree = was.tree;
            let change = |rows: &mut HashMap<String, Row>| {
                rows.remove(&asked.key);
                rows.insert(asked.name, Row { tree, info });
            };
            records.change(change).map_err(failed)
        })
        .await
    }

    async fn remove(&self, request: Request<api::RemoveSnapshotRequest>) -> Answer<()> {
        let key = request.into_inner().key;
        self.apart(move |records| {
            let tree = get(records, &key)?.tree;
            if records.rows().values().any(|row| row.info.parent == key) {
                let message = format!("cannot remove {key} with a child: failed precondition");
                return Err(Status::failed_precondition(message));
            }
            records.change(|rows| drop(rows.remove(&key))).map_err(failed)?;
            records.trees.remove(tree).map_err(failed)
        })
        .await
    }

    async fn stat(&self, request: Request<api::StatSnapshotRequest>) -> Answer<api::StatSnapshotResponse> {
        let key = request.into_inner().key;
        self.apart(move |records| {
            let info = Some(get(records, &key)?.info.clone());
            Ok(api::StatSnapshotResponse { info })
        })
        .await
    }

    async fn update(
        &self,
        request: Request<api::UpdateSnapshotRequest>,
    ) -> Answer<api::UpdateSnapshotResponse> {
        let asked = request.into_inner();
        self.apart(move |records| {
            let wish = asked.info.unwrap_or_default();
            let mut row = get(records, &wish.name)?.clone();
            let mask = asked.update_mask.unwrap_or_default().paths;
            relabel(&mut row.info.labels, &wish, &mask)?;
            row.info.updated_at = Some(SystemTime::now().into());
            let info = Some(row.info.clone());
            records
                .change(|rows| drop(rows.insert(wish.name, row)))
                .map_err(failed)?;
            Ok(api::UpdateSnapshotResponse { info })
        })
        .await
    }

    type ListStream = Pin<
        Box<dyn tokio_stream::Stream<Item = Result<api::ListSnapshotsResponse, Status>> + Send + 'static>,
    >;

    async fn list(&self, request: Request<api::ListSnapshotsRequest>) -> Answer<Self::ListStream> {
        let filters = Filters::read(&request.into_inner().filters)?;
        let pages = self.apart(move |records| {
            let infos = records.rows().values().map(|row| row.info.clone());
            let wanted: Vec<Info> = infos.filter(|info| filters.want(info)).collect();
            let page = |info: &[Info]| Ok(api::ListSnapshotsResponse { info: info.to_vec() });
            Ok(wanted.chunks(PAGE).map(page).collect::<Vec<_>>())
        });
        let stream = tokio_stream::iter(pages.await?.into_inner());
        Ok(Response::new(Box::pin(stream)))
    }

    async fn usage(&self, request: Request<api::UsageRequest>) -> Answer<api::UsageResponse> {
        let key = request.into_inner().key;
        self.apart(move |records| {
            let (size, inodes) = records.trees.usage(get(records, &key)?.tree).map_err(failed)?;
            Ok(api::UsageResponse { size, inodes })
        })
        .await
    }

    async fn cleanup(&self, _: Request<api::CleanupRequest>) -> Answer<()> {
        self.apart(|records| {
            let kept: Vec<u64> = records.rows().values().map(|row| row.tree).collect();
            records
                .trees
                .sweep(|number| kept.contains(&number))
                .map_err(failed)
        })
        .await
    }
}
