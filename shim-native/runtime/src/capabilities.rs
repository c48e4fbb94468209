//! Capability sets: parsed by the caller's side, clamped to what the host has, applied in the child.

use crate::error::{Error, Step, Warning};
use oci_spec::runtime::{Capabilities, LinuxCapabilities};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
};

/// The five sets as bit masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CapSets {
    pub bounding: CapabilitySet,
    pub effective: CapabilitySet,
    pub permitted: CapabilitySet,
    pub inheritable: CapabilitySet,
    pub ambient: CapabilitySet,
}

impl CapSets {
    /// Reads the spec's sets. None: every set is empty (runtime-spec: "if not set, no capabilities").
    pub(crate) fn new(spec: Option<&LinuxCapabilities>) -> Self {
        let none = CapabilitySet::empty();
        let Some(spec) = spec else {
            return Self {
                bounding: none,
                effective: none,
                permitted: none,
                inheritable: none,
                ambient: none,
            };
        };
        let mut sets = Self {
            bounding: mask(spec.bounding()),
            effective: mask(spec.effective()),
            permitted: mask(spec.permitted()),
            inheritable: mask(spec.inheritable()),
            ambient: mask(spec.ambient()),
        };
        // The kernel's own invariants: effective within permitted, ambient within permitted and inheritable.
        sets.effective &= sets.permitted;
        sets.ambient &= sets.permitted & sets.inheritable;
        sets
    }

    /// Takes away what the calling process itself cannot give, and says so.
    pub(crate) fn clamp_to_host(&mut self, warnings: &mut Vec<Warning>) -> Result<(), Error> {
        let held = capabilities(None).map_err(failed("reading"))?.permitted;
        let missing = (self.permitted | self.bounding) - held;
        if missing.is_empty() {
            return Ok(());
        }
        for set in [
            &mut self.bounding,
            &mut self.effective,
            &mut self.permitted,
            &mut self.inheritable,
            &mut self.ambient,
        ] {
            *set &= held;
        }
        let message = format!("this host cannot grant {}: left out", names(missing).join(", "));
        warnings.push(Warning {
            step: Step::Capabilities,
            message,
        });
        Ok(())
    }

    /// Drops from the bounding set what it does not list. Needs `CAP_SETPCAP`, so it comes before the others.
    pub(crate) fn limit_bounding(&self) -> Result<(), Error> {
        for number in 0..LAST_KNOWN {
            let bit = CapabilitySet::from_bits_retain(1 << number);
            if self.bounding.contains(bit) {
                continue;
            }
            match remove_capability_from_bounding_set(bit) {
                // The kernel knows fewer capabilities than we do.
                Err(Errno::INVAL) => break,
                other => other.map_err(failed("bounding set"))?,
            }
        }
        Ok(())
    }

    /// Sets permitted, effective and inheritable; `keep` stays effective for now (dropped by a later call
    /// with an empty `keep`).
    pub(crate) fn apply(&self, keep: CapabilitySet) -> Result<(), Error> {
        let wanted = CapabilitySets {
            effective: self.effective | keep,
            permitted: self.permitted | keep,
            inheritable: self.inheritable,
        };
        set_capabilities(None, wanted).map_err(failed("setting"))
    }

    /// Raises the ambient set; the others must be in place.
    pub(crate) fn raise_ambient(&self) -> Result<(), Error> {
        match clear_ambient_capability_set() {
            // Linux before 4.3 has none.
            Err(Errno::INVAL) if self.ambient.is_empty() => return Ok(()),
            other => other.map_err(failed("ambient set"))?,
        }
        for number in 0..LAST_KNOWN {
            let bit = CapabilitySet::from_bits_retain(1 << number);
            if self.ambient.contains(bit) {
                configure_capability_in_ambient_set(bit, true).map_err(failed("ambient set"))?;
            }
        }
        Ok(())
    }
}

/// One past the highest capability number that may exist (64 bits).
const LAST_KNOWN: u32 = 64;

fn failed(what: &'static str) -> impl FnOnce(Errno) -> Error {
    move |errno| Error::system(Step::Capabilities, what, errno)
}

fn mask(set: &Option<Capabilities>) -> CapabilitySet {
    let mut mask = CapabilitySet::empty();
    for capability in set.iter().flatten() {
        mask |= CapabilitySet::from_bits_retain(1 << number_of(&capability.to_string()));
    }
    mask
}

/// Names by number, from capabilities(7), without `CAP_`.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

fn number_of(name: &str) -> usize {
    let name = name.strip_prefix("CAP_").unwrap_or(name);
    // oci-spec's enum holds exactly these names, so every name is found.
    NAMES.iter().position(|known| *known == name).unwrap_or(63)
}

fn names(set: CapabilitySet) -> Vec<String> {
    let has = |number: &usize| set.bits() & (1 << number) != 0;
    (0..NAMES.len())
        .filter(has)
        .map(|number| format!("CAP_{}", NAMES[number]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{Capability, LinuxCapabilitiesBuilder};

    #[test]
    fn every_name_of_the_spec_has_its_number() {
        let name = |capability: Capability| capability.to_string();
        assert_eq!(number_of(&name(Capability::Chown)), 0);
        assert_eq!(number_of(&name(Capability::SysAdmin)), 21);
        assert_eq!(number_of(&name(Capability::CheckpointRestore)), 40);
    }

    #[test]
    fn sets_keep_the_kernels_invariants() {
        let some = |list: &[Capability]| list.iter().copied().collect::<Capabilities>();
        let spec = LinuxCapabilitiesBuilder::default()
            .permitted(some(&[Capability::Chown]))
            .effective(some(&[Capability::Chown, Capability::SysAdmin]))
            .ambient(some(&[Capability::Chown]))
            .inheritable(some(&[]))
            .bounding(some(&[Capability::Chown]))
            .build()
            .unwrap();
        let sets = CapSets::new(Some(&spec));
        assert_eq!(sets.effective, CapabilitySet::CHOWN);
        assert!(sets.ambient.is_empty());
    }
}
