//! The device allow-list as an eBPF program (`BPF_PROG_TYPE_CGROUP_DEVICE`), which v2 wants.
//!
//! The context is `struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; }` with the device
//! class in the low and the access bits in the high half of `access_type`; the verdict is r0 (1 = allow).

use super::device_rules::{DeviceClass, DeviceRule};
use crate::error::{Error, Step};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// One eBPF instruction: `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// Destination in the low, source in the high nibble.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn op(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers,
        offset,
        immediate,
    }
}

const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE32: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const MOVE64_IMMEDIATE: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const AND32: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT32: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const JUMP_NOT_EQUAL: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const JUMP_NOT_EQUAL_REGISTER: u8 = 0x5d; // BPF_JMP | BPF_JNE | BPF_X
const EXIT: u8 = 0x95;

const CLASS_BLOCK: i32 = 1;
const CLASS_CHARACTER: i32 = 2;
const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

/// r2 = class, r3 = access, r4 = major, r5 = minor, r1 scratch. The last matching rule decides, so rules
/// are tried from the end; what no rule matches is denied.
fn compile(rules: &[DeviceRule]) -> Vec<Instruction> {
    let mut program = vec![
        op(LOAD_WORD, 0x12, 0, 0),
        op(AND32, 0x02, 0, 0xffff),
        op(LOAD_WORD, 0x13, 0, 0),
        op(SHIFT_RIGHT32, 0x03, 0, 16),
        op(LOAD_WORD, 0x14, 4, 0),
        op(LOAD_WORD, 0x15, 8, 0),
    ];
    for rule in rules.iter().rev() {
        emit(&mut program, rule);
        if rule.is_everything() {
            return program;
        }
    }
    program.extend(verdict(false));
    program
}

fn verdict(allow: bool) -> [Instruction; 2] {
    [op(MOVE64_IMMEDIATE, 0x00, 0, i32::from(allow)), op(EXIT, 0, 0, 0)]
}

fn emit(program: &mut Vec<Instruction>, rule: &DeviceRule) {
    let mut tests = Vec::with_capacity(8);
    match rule.class {
        DeviceClass::All => {}
        DeviceClass::Block => tests.push(op(JUMP_NOT_EQUAL, 0x02, 0, CLASS_BLOCK)),
        DeviceClass::Character => tests.push(op(JUMP_NOT_EQUAL, 0x02, 0, CLASS_CHARACTER)),
    }
    let mask = [
        (rule.read, ACCESS_READ),
        (rule.write, ACCESS_WRITE),
        (rule.mknod, ACCESS_MKNOD),
    ];
    let mask: i32 = mask.iter().filter(|(has, _)| *has).map(|(_, bit)| bit).sum();
    if mask != ACCESS_READ | ACCESS_WRITE | ACCESS_MKNOD {
        // Everything asked for must be in the rule: (access & mask) == access.
        tests.push(op(MOVE32, 0x31, 0, 0));
        tests.push(op(AND32, 0x01, 0, mask));
        tests.push(op(JUMP_NOT_EQUAL_REGISTER, 0x31, 0, 0));
    }
    if let Some(major) = rule.major {
        tests.push(op(JUMP_NOT_EQUAL, 0x04, 0, major as i32));
    }
    if let Some(minor) = rule.minor {
        tests.push(op(JUMP_NOT_EQUAL, 0x05, 0, minor as i32));
    }
    let end = tests.len() + 2;
    for (index, test) in tests.iter_mut().enumerate() {
        if matches!(test.code, JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER) {
            test.offset = (end - index - 1) as i16;
        }
    }
    program.extend(tests);
    program.extend(verdict(rule.allow));
}

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_PROG_QUERY: i32 = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// Puts the program for `rules` on the group at `dir`, then takes older device programs of ours off: at no
/// instant is the group without one.
pub(super) fn replace(dir: &Path, rules: &[DeviceRule]) -> Result<(), Error> {
    let failed = |doing: &'static str| {
        move |errno| {
            Error::system(
                Step::Cgroup,
                format!("device program of {}: {doing}", dir.display()),
                errno,
            )
        }
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = rustix::fs::openat(CWD, dir, flags, Mode::empty()).map_err(failed("open"))?;
    let old = attached(&group).map_err(failed("query"))?;
    let program = load(&compile(rules)).map_err(failed("load"))?;
    attach(&group, &program).map_err(failed("attach"))?;
    for id in old {
        let program = by_id(id).map_err(failed("look up the old program"))?;
        detach(&group, &program).map_err(failed("detach the old program"))?;
    }
    Ok(())
}

fn bpf<T>(command: i32, attributes: &mut T) -> Result<i32, Errno> {
    // SAFETY: every `T` used here is a `repr(C)` prefix of `union bpf_attr` whose pointers are alive; the
    // kernel reads (and for queries writes) at most the size given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(Errno::from_raw_os_error(
            std::io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
        ));
    }
    Ok(result as i32)
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the bpf call that returned `fd` made it for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    #[repr(C)]
    struct Load {
        prog_type: u32,
        instruction_count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
    }
    let license = c"Apache-2.0";
    let mut attributes = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    bpf(BPF_PROG_LOAD, &mut attributes).map(owned)
}

#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

fn attach(group: &OwnedFd, program: &OwnedFd) -> Result<(), Errno> {
    let (target, program) = (group.as_raw_fd() as u32, program.as_raw_fd() as u32);
    let mut attributes = Attach {
        target,
        program,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    bpf(BPF_PROG_ATTACH, &mut attributes).map(drop)
}

fn detach(group: &OwnedFd, program: &OwnedFd) -> Result<(), Errno> {
    let (target, program) = (group.as_raw_fd() as u32, program.as_raw_fd() as u32);
    bpf(
        BPF_PROG_DETACH,
        &mut Attach {
            target,
            program,
            attach_type: BPF_CGROUP_DEVICE,
            flags: 0,
        },
    )
    .map(drop)
}

/// Ids of the device programs attached to the group itself.
fn attached(group: &OwnedFd) -> Result<Vec<u32>, Errno> {
    #[repr(C)]
    struct Query {
        target: u32,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        ids: u64,
        count: u32,
        padding: u32,
    }
    let mut ids = [0u32; 64];
    let mut attributes = Query {
        target: group.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    bpf(BPF_PROG_QUERY, &mut attributes)?;
    Ok(ids[..attributes.count as usize].to_vec())
}

fn by_id(id: u32) -> Result<OwnedFd, Errno> {
    let mut attributes = [id, 0, 0, 0];
    bpf(BPF_PROG_GET_FD_BY_ID, &mut attributes).map(owned)
}

#[cfg(test)]
mod tests {
    use super::super::device_rules::resolve;
    use super::*;

    /// A tiny interpreter of the instructions used, so that verdicts can be asked without the kernel.
    fn run(program: &[Instruction], access: i32, class: i32, major: u32, minor: u32) -> bool {
        let context = [((access << 16) | class) as u32, major, minor];
        let mut registers = [0u32; 11];
        let mut at = 0usize;
        loop {
            let i = program[at];
            let (to, from) = ((i.registers & 15) as usize, (i.registers >> 4) as usize);
            at += 1;
            match i.code {
                LOAD_WORD => registers[to] = context[i.offset as usize / 4],
                MOVE32 => registers[to] = registers[from],
                MOVE64_IMMEDIATE => registers[to] = i.immediate as u32,
                AND32 => registers[to] &= i.immediate as u32,
                SHIFT_RIGHT32 => registers[to] >>= i.immediate as u32,
                JUMP_NOT_EQUAL if registers[to] != i.immediate as u32 => at += i.offset as usize,
                JUMP_NOT_EQUAL_REGISTER if registers[to] != registers[from] => at += i.offset as usize,
                JUMP_NOT_EQUAL | JUMP_NOT_EQUAL_REGISTER => {}
                EXIT => return registers[0] == 1,
                other => panic!("instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn the_default_list_admits_null_and_refuses_disks() {
        let program = compile(&resolve(&[], true).unwrap());
        let read_write = ACCESS_READ | ACCESS_WRITE;
        assert!(run(&program, read_write, CLASS_CHARACTER, 1, 3));
        assert!(run(&program, ACCESS_READ, CLASS_CHARACTER, 136, 9));
        assert!(run(&program, ACCESS_MKNOD, CLASS_BLOCK, 8, 0));
        assert!(!run(&program, ACCESS_READ, CLASS_BLOCK, 8, 0));
        assert!(!run(&program, ACCESS_READ, CLASS_CHARACTER, 1, 1));
    }

    #[test]
    fn the_kernel_takes_the_program() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: loading a device program needs root");
            return;
        }
        match load(&compile(&resolve(&[], true).unwrap())) {
            Ok(_) => {}
            Err(Errno::INVAL) => eprintln!("skipped: this kernel has no CONFIG_CGROUP_BPF"),
            Err(errno) => panic!("the verifier refused: {errno}"),
        }
    }
}
