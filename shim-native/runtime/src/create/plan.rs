//! From the spec and the options to plans, before anything is made.

use crate::cgroup::{Attachment, Cgroup, Host};
use crate::error::{Error, Warning};
use crate::hooks::HookState;
use crate::init::InitPlan;
use crate::mounts::cgroup_view::{CgroupView, ViewedHierarchy};
use crate::mounts::{self, options, rootfs};
use crate::namespaces::{CLONE_NEWTIME, Namespaces};
use crate::options::{CreateOptions, Stdio};
use crate::process::{Extras, ProcessPlan};
use crate::seccomp;
use crate::state::{StateFile, absolute};
use crate::stdio::{Streams, above_standard};
use crate::trace;
use crate::user_mapping::IdMaps;
use crate::{devices, sysctl};
use oci_spec::runtime::{Hook, Linux, LinuxResources, LinuxTimeOffset, Spec};
use std::collections::HashMap;
use std::path::PathBuf;

/// Parsed parts that only the caller's side uses.
pub(crate) struct Outer {
    pub(crate) bundle: PathBuf,
    pub(crate) resources: LinuxResources,
    pub(crate) maps: Option<IdMaps>,
    pub(crate) before: Vec<Hook>,
    pub(crate) runtime: Vec<Hook>,
    pub(crate) time_offsets: HashMap<String, LinuxTimeOffset>,
    pub(crate) state: StateFile,
    pub(crate) poststart: Vec<Hook>,
}

/// runc's rule for ids, so that whatever passes there passes here.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > 255 || id == "." || id == ".." || !id.chars().all(good) {
        let reason = "must be 1 to 255 of A-Z a-z 0-9 _ + - . and not \".\" or \"..\"";
        return Err(Error::spec(format!("id {id:?}"), reason));
    }
    Ok(())
}

pub(crate) fn prepare(
    mut spec: Spec,
    options: CreateOptions<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<(InitPlan, Outer), Error> {
    let bundle = absolute(options.bundle)?;
    let mut linux = spec
        .linux()
        .clone()
        .ok_or_else(|| Error::spec("linux", "is missing"))?;
    let process = spec
        .process()
        .clone()
        .ok_or_else(|| Error::spec("process", "is missing"))?;
    refuse_unsupported(&linux)?;
    let namespaces = Namespaces::new(linux.namespaces().as_deref().unwrap_or_default())?;
    let maps = maps(&linux, &namespaces)?;
    let has_user = namespaces.all & libc::CLONE_NEWUSER != 0;
    let seccomp = linux
        .seccomp()
        .as_ref()
        .map(seccomp::compile)
        .transpose()?
        .flatten();
    // Two megabytes of budget: the parsed policy (hundreds of strings) is not carried along.
    linux.set_seccomp(None);
    let extras = Extras {
        keyring: (!options.no_new_keyring).then(|| format!("_ses.{}", options.id)),
        seccomp,
        personality: linux.personality().as_ref(),
        host_capabilities: !has_user,
    };
    let process = ProcessPlan::new(&process, extras, warnings)?;
    let root = spec
        .root()
        .clone()
        .ok_or_else(|| Error::spec("root", "is missing"))?;
    let root_path = bundle.join(root.path());
    let cgroup = Cgroup::plan(
        &Host::detect()?,
        &options.cgroup,
        linux.cgroups_path().as_deref(),
        options.id,
        linux.resources().as_ref(),
    )?;
    let hooks = spec.hooks_mut().take().unwrap_or_default();
    let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
    let (before, runtime) = (list(hooks.prestart()), list(hooks.create_runtime()));
    let state = HookState {
        oci_version: spec.version().clone(),
        id: options.id.to_owned(),
        status: "creating".to_owned(),
        pid: None,
        bundle: bundle.clone(),
        annotations: spec.annotations().clone().unwrap_or_default(),
    };
    let streams = streams(options.stdio, &process, options.io_owner, maps.as_ref(), has_user)?;
    let plan = InitPlan {
        joined_by_helper: needs_helper(&namespaces),
        attachment: Attachment::default(),
        rootfs: trace::traced("assemble the root", || {
            rootfs::build(options.rootfs_mounts, &root_path)
        })?,
        root_path,
        root_read_only: root.readonly().unwrap_or(false),
        propagation: propagation(&linux)?,
        no_pivot_root: options.no_pivot_root,
        hostname: name_in(spec.hostname(), "hostname", &namespaces)?,
        domainname: name_in(spec.domainname(), "domainname", &namespaces)?,
        sysctls: sysctl::plan(linux.sysctl().as_ref(), &namespaces)?,
        mounts: mounts::plan(spec.mounts().as_deref().unwrap_or_default(), &bundle, has_user)?,
        cgroup_view: view(&cgroup, &namespaces),
        devices: devices::plan(linux.devices().as_deref().unwrap_or_default())?,
        masked: linux.masked_paths().clone().unwrap_or_default(),
        read_only: linux.readonly_paths().clone().unwrap_or_default(),
        has_runtime_hooks: !before.is_empty() || !runtime.is_empty(),
        create_container: list(hooks.create_container()),
        start_container: list(hooks.start_container()),
        waits_for_caller: namespaces.is_new(libc::CLONE_NEWUSER) || cgroup.unit.is_some(),
        state: state.clone(),
        namespaces,
        process,
        streams,
    };
    let outer = Outer {
        bundle,
        maps,
        before,
        runtime,
        resources: linux.resources().clone().unwrap_or_default(),
        time_offsets: linux.time_offsets().clone().unwrap_or_default(),
        state: StateFile {
            state,
            init: None,
            cgroup,
            poststop: list(hooks.poststop()),
        },
        poststart: list(hooks.poststart()),
    };
    Ok((plan, outer))
}

fn refuse_unsupported(linux: &Linux) -> Result<(), Error> {
    let missing = |what: &str| {
        let why = "this runtime does not implement it".to_owned();
        Err(Error::Unsupported {
            what: what.to_owned(),
            why,
        })
    };
    if linux
        .net_devices()
        .as_ref()
        .is_some_and(|devices| !devices.is_empty())
    {
        return missing("linux.netDevices");
    }
    if linux.intel_rdt().is_some() {
        return missing("linux.intelRdt");
    }
    if linux.memory_policy().is_some() {
        return missing("linux.memoryPolicy");
    }
    Ok(())
}

fn maps(linux: &Linux, namespaces: &Namespaces) -> Result<Option<IdMaps>, Error> {
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    let gids = linux.gid_mappings().as_deref().unwrap_or_default();
    if namespaces.is_new(libc::CLONE_NEWUSER) {
        return IdMaps::new(uids, gids).map(Some);
    }
    if namespaces.all & libc::CLONE_NEWUSER == 0 && !(uids.is_empty() && gids.is_empty()) {
        return Err(Error::spec(
            "linux.uidMappings",
            "need a user namespace in linux.namespaces",
        ));
    }
    if uids.is_empty() || gids.is_empty() {
        Ok(None)
    } else {
        IdMaps::new(uids, gids).map(Some)
    }
}

fn propagation(linux: &Linux) -> Result<Option<u64>, Error> {
    let Some(word) = linux
        .rootfs_propagation()
        .as_deref()
        .filter(|word| !word.is_empty())
    else {
        return Ok(None);
    };
    let plain = word.strip_prefix('r').unwrap_or(word);
    options::propagation(plain).map(Some).ok_or_else(|| {
        let reason = format!("{word:?} is not one of private, shared, slave, unbindable");
        Error::spec("linux.rootfsPropagation", reason)
    })
}

fn name_in(name: &Option<String>, field: &str, namespaces: &Namespaces) -> Result<Option<String>, Error> {
    let Some(name) = name.as_ref().filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if namespaces.is_host(libc::CLONE_NEWUTS) {
        return Err(Error::spec(
            field,
            "needs a uts namespace: setting it would change the host",
        ));
    }
    Ok(Some(name.clone()))
}

fn view(cgroup: &Cgroup, namespaces: &Namespaces) -> CgroupView {
    let hierarchy = |group: &crate::cgroup::V1Group| ViewedHierarchy {
        name: group
            .mount
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        controllers: group.controllers.clone(),
        group: group.dir.clone(),
    };
    let own = |flag: i32| namespaces.all & flag != 0;
    CgroupView {
        kind: cgroup.kind,
        anew: own(libc::CLONE_NEWCGROUP) && own(libc::CLONE_NEWUSER),
        hierarchies: cgroup.v1.iter().map(hierarchy).collect(),
        v2: cgroup.v2.clone(),
    }
}

/// Streams ready for the child: above 2, and pipes given to the process's user.
pub(crate) fn streams(
    stdio: Stdio,
    process: &ProcessPlan,
    owner: Option<(u32, u32)>,
    maps: Option<&IdMaps>,
    has_user: bool,
) -> Result<Option<Streams>, Error> {
    match (stdio, process.terminal) {
        (Stdio::Terminal, true) => Ok(None),
        (Stdio::Terminal, false) => Err(Error::spec(
            "process.terminal",
            "is false, but the stdio is a terminal",
        )),
        (Stdio::Piped { .. }, true) => {
            Err(Error::spec("process.terminal", "is true, but the stdio is piped"))
        }
        (
            Stdio::Piped {
                stdin,
                stdout,
                stderr,
            },
            false,
        ) => {
            let streams = Streams {
                stdin: above_standard(stdin)?,
                stdout: above_standard(stdout)?,
                stderr: above_standard(stderr)?,
            };
            let mapped = match maps {
                Some(maps) => maps.host_uid(process.uid).zip(maps.host_gid(process.gid)),
                None => (!has_user).then_some((process.uid, process.gid)),
            };
            if let Some((uid, gid)) = owner.or(mapped) {
                streams.give_to(uid, gid)?;
            }
            Ok(Some(streams))
        }
    }
}

/// Whether namespaces must be entered before the process is made (see [`crate::spawn`]).
fn needs_helper(namespaces: &Namespaces) -> bool {
    let before = [libc::CLONE_NEWPID, libc::CLONE_NEWUSER, CLONE_NEWTIME];
    before.iter().any(|flag| namespaces.joins(*flag))
        || namespaces.is_new(CLONE_NEWTIME)
        || (namespaces.is_new(libc::CLONE_NEWUSER) && !namespaces.joined.is_empty())
}
