//! System call numbers by name, per architecture: sorted text, searched by one merge with sorted names.
//! Text rather than an array of strings, which would cost relocations (private memory) in every shim.

use oci_spec::runtime::Arch;

/// One instruction set that a filter distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// `AUDIT_ARCH_*`, what `seccomp_data.arch` holds.
    pub audit: u32,
    /// Added to every number (x32 marks its calls with bit 30).
    pub bit: u32,
    table: &'static str,
}

const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
const AUDIT_ARCH_I386: u32 = 0x4000_0003;
const AUDIT_ARCH_AARCH64: u32 = 0xc000_00b7;
/// `__X32_SYSCALL_BIT`.
pub(super) const X32_BIT: u32 = 0x4000_0000;

const X86_64: Machine = Machine {
    audit: AUDIT_ARCH_X86_64,
    bit: 0,
    table: include_str!("tables/x86_64.txt"),
};
const X86: Machine = Machine {
    audit: AUDIT_ARCH_I386,
    bit: 0,
    table: include_str!("tables/x86.txt"),
};
const X32: Machine = Machine {
    audit: AUDIT_ARCH_X86_64,
    bit: X32_BIT,
    table: include_str!("tables/x32.txt"),
};
const AARCH64: Machine = Machine {
    audit: AUDIT_ARCH_AARCH64,
    bit: 0,
    table: include_str!("tables/aarch64.txt"),
};

#[cfg(target_arch = "x86_64")]
pub(super) const NATIVE: Machine = X86_64;
#[cfg(target_arch = "aarch64")]
pub(super) const NATIVE: Machine = AARCH64;

impl Machine {
    /// Whether calls of this machine can occur at all on this host, and we know its numbers.
    pub(super) fn of(arch: Arch) -> Option<Self> {
        let x86_host = cfg!(target_arch = "x86_64");
        match arch {
            Arch::ScmpArchNative => Some(NATIVE),
            Arch::ScmpArchX86_64 if x86_host => Some(X86_64),
            Arch::ScmpArchX86 if x86_host => Some(X86),
            Arch::ScmpArchX32 if x86_host => Some(X32),
            Arch::ScmpArchAarch64 if !x86_host => Some(AARCH64),
            _ => None,
        }
    }

    pub(super) fn is_x86(self) -> bool {
        self.audit == AUDIT_ARCH_I386
    }

    pub(super) fn is_x86_64(self) -> bool {
        self.audit == AUDIT_ARCH_X86_64 && self.bit == 0
    }

    /// Numbers of `names` (sorted, unique): one per name, `None` where this machine has no such call.
    pub(super) fn numbers(self, names: &[&str]) -> Vec<Option<u32>> {
        let mut rows = self
            .table
            .lines()
            .filter_map(|line| line.split_once(' '))
            .peekable();
        let lookup = |name: &&str| {
            while rows.peek().is_some_and(|(known, _)| known < name) {
                rows.next();
            }
            let (_, number) = rows.peek().filter(|(known, _)| known == name)?;
            Some(number.parse::<u32>().ok()? | self.bit)
        };
        names.iter().map(lookup).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_known_numbers_are_right() {
        for machine in [X86_64, X86, X32, AARCH64] {
            let names: Vec<_> = machine
                .table
                .lines()
                .map(|line| line.split_once(' ').unwrap().0)
                .collect();
            assert!(names.is_sorted_by(|a, b| a < b), "table of {:#x}", machine.audit);
        }
        let names = ["accept4", "clone3", "mount", "no_such_call", "openat", "unshare"];
        let numbers = |machine: Machine| machine.numbers(&names);
        assert_eq!(
            numbers(X86_64),
            [Some(288), Some(435), Some(165), None, Some(257), Some(272)]
        );
        assert_eq!(
            numbers(X86),
            [Some(364), Some(435), Some(21), None, Some(295), Some(310)]
        );
        assert_eq!(
            numbers(AARCH64),
            [Some(242), Some(435), Some(40), None, Some(56), Some(97)]
        );
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_native_table_agrees_with_libc() {
        let numbers = NATIVE.numbers(&["execve", "mseal", "seccomp"]);
        assert_eq!(numbers[0], Some(libc::SYS_execve as u32));
        assert_eq!(numbers[2], Some(libc::SYS_seccomp as u32));
    }
}
