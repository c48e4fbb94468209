//! What this runtime understands of a runtime spec (runtime-spec, features.md).

use crate::hooks::HookKind;
use oci_spec::OciSpecError;
use oci_spec::runtime::{
    ApparmorBuilder, Arch, CgroupBuilder, Features, FeaturesBuilder, IDMapBuilder, IntelRdtBuilder,
    LinuxFeature, LinuxFeatureBuilder, LinuxNamespaceType, LinuxSeccompAction, MountExtensionsBuilder,
    NetDevicesBuilder, Seccomp, SeccompBuilder, SelinuxBuilder,
};

/// Oldest and newest runtime-spec whose words are known.
const VERSIONS: [&str; 2] = ["1.0.0", "1.3.0"];

const HOOKS: [HookKind; 6] = [
    HookKind::Prestart,
    HookKind::CreateRuntime,
    HookKind::CreateContainer,
    HookKind::StartContainer,
    HookKind::Poststart,
    HookKind::Poststop,
];

/// Options of a mount that are this runtime's business, not its file system's.
const MOUNT_OPTIONS: &str = "async atime bind defaults dev diratime exec idmap loud noatime nodev nodiratime noexec \
    noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime \
    relatime remount rexec ridmap rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow \
    ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared slave strictatime \
    suid symfollow tmpcopyup unbindable";

const NAMESPACES: [LinuxNamespaceType; 8] = [
    LinuxNamespaceType::Cgroup,
    LinuxNamespaceType::Ipc,
    LinuxNamespaceType::Mount,
    LinuxNamespaceType::Network,
    LinuxNamespaceType::Pid,
    LinuxNamespaceType::Time,
    LinuxNamespaceType::User,
    LinuxNamespaceType::Uts,
];

const ACTIONS: [LinuxSeccompAction; 9] = [
    LinuxSeccompAction::ScmpActAllow,
    LinuxSeccompAction::ScmpActErrno,
    LinuxSeccompAction::ScmpActKill,
    LinuxSeccompAction::ScmpActKillProcess,
    LinuxSeccompAction::ScmpActKillThread,
    LinuxSeccompAction::ScmpActLog,
    LinuxSeccompAction::ScmpActNotify,
    LinuxSeccompAction::ScmpActTrace,
    LinuxSeccompAction::ScmpActTrap,
];

const OPERATORS: [&str; 7] = ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [Arch; 3] = [Arch::ScmpArchX86, Arch::ScmpArchX86_64, Arch::ScmpArchX32];
#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: [Arch; 1] = [Arch::ScmpArchAarch64];

/// The document. What is not in it is not known here; nothing of the host is asked.
pub fn features() -> Features {
    document().expect("every field of the document has a default")
}

fn document() -> Result<Features, OciSpecError> {
    FeaturesBuilder::default()
        .oci_version_min(VERSIONS[0])
        .oci_version_max(VERSIONS[1])
        .hooks(HOOKS.map(|hook| hook.name().to_owned()))
        .mount_options(words(MOUNT_OPTIONS))
        .linux(linux()?)
        .build()
}

fn linux() -> Result<LinuxFeature, OciSpecError> {
    let idmap = IDMapBuilder::default().enabled(true).build()?;
    LinuxFeatureBuilder::default()
        .namespaces(NAMESPACES)
        .cgroup(
            CgroupBuilder::default()
                .v1(true)
                .v2(true)
                .systemd(true)
                .systemd_user(false)
                .build()?,
        )
        .seccomp(seccomp()?)
        .apparmor(ApparmorBuilder::default().enabled(true).build()?)
        .selinux(SelinuxBuilder::default().enabled(false).build()?)
        .intel_rdt(IntelRdtBuilder::default().enabled(false).build()?)
        .mount_extensions(MountExtensionsBuilder::default().idmap(idmap).build()?)
        .net_devices(NetDevicesBuilder::default().enabled(false).build()?)
        .build()
}

fn seccomp() -> Result<Seccomp, OciSpecError> {
    SeccompBuilder::default()
        .enabled(true)
        .actions(ACTIONS)
        .operators(OPERATORS.map(|name| format!("SCMP_CMP_{name}")))
        .archs(ARCHITECTURES)
        .build()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::options::Options;

    #[test]
    fn every_mount_option_told_is_taken_here_and_none_is_left_for_the_file_system() {
        for word in words(MOUNT_OPTIONS) {
            assert!(Options::parse(&[&word]).data.is_empty(), "{word}");
        }
    }

    #[test]
    fn the_document_has_the_names_of_the_specification() {
        let text = serde_json::to_value(features()).unwrap();
        assert_eq!(text["ociVersionMin"], "1.0.0");
        assert_eq!(text["linux"]["mountExtensions"]["idmap"]["enabled"], true);
        assert_eq!(text["linux"]["namespaces"][2], "mount");
        assert_eq!(text["linux"]["seccomp"]["actions"][1], "SCMP_ACT_ERRNO");
        assert_eq!(text["linux"]["seccomp"]["operators"][5], "SCMP_CMP_MASKED_EQ");
        assert_eq!(text["hooks"].as_array().unwrap().len(), 6);
    }
}
