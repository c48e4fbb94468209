//! Compiled programs, run by a small interpreter of classic BPF against a plain reading of the rules.

use super::*;
use oci_spec::runtime::LinuxSeccomp;

/// Runs `program` on a call; `arch` is `AUDIT_ARCH_*`. Returns the verdict and how many steps it took.
fn run(program: &[libc::sock_filter], arch: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    let mut data = [0u8; 64];
    data[0..4].copy_from_slice(&number.to_ne_bytes());
    data[4..8].copy_from_slice(&arch.to_ne_bytes());
    for (index, arg) in args.iter().enumerate() {
        data[16 + index * 8..24 + index * 8].copy_from_slice(&arg.to_ne_bytes());
    }
    let (mut at, mut accumulator, mut steps) = (0usize, 0u32, 0usize);
    loop {
        let i = program[at];
        at += 1;
        steps += 1;
        let jump = |holds: bool| if holds { i.jt as usize } else { i.jf as usize };
        match i.code {
            0x20 => {
                accumulator = u32::from_ne_bytes(data[i.k as usize..i.k as usize + 4].try_into().unwrap())
            }
            0x54 => accumulator &= i.k,
            0x05 => at += i.k as usize,
            0x15 => at += jump(accumulator == i.k),
            0x25 => at += jump(accumulator > i.k),
            0x35 => at += jump(accumulator >= i.k),
            0x06 => return (i.k, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn filter(json: &str) -> Filter {
    let seccomp: LinuxSeccomp = serde_json::from_str(json).unwrap();
    compile(&seccomp).unwrap().expect("a filter")
}

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL: u32 = 0x8000_0000;

/// Docker's shape: deny by default, a long list, conditions on clone and personality.
const POLICY: &str = r#"{
  "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
  "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  "syscalls": [
    {"names": ["read", "write", "open", "close", "execve", "exit_group", "openat", "futex", "socketcall_not_there", "cachestat"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
    {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
    {"names": ["listen"], "action": "SCMP_ACT_LOG"},
    {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"}
  ]}"#;

#[test]
#[cfg(target_arch = "x86_64")]
fn verdicts_are_those_of_the_rules() {
    let filter = filter(POLICY);
    let verdict = |number: u32, first: u64| run(&filter.program, X86_64, number, [first, 0, 0, 0, 0, 0]).0;
    assert_eq!(verdict(0, 0), ALLOW);
    assert_eq!(verdict(165, 0), ERRNO | 1, "mount");
    assert_eq!(verdict(135, 8), ALLOW, "personality(8)");
    assert_eq!(verdict(135, 9), ERRNO | 1);
    assert_eq!(verdict(135, 1 << 32), ERRNO | 1, "the high half counts");
    assert_eq!(verdict(56, 17), ALLOW, "clone without namespaces");
    assert_eq!(verdict(56, 0x1000_0000), ERRNO | 1, "clone(CLONE_NEWUSER)");
    assert_eq!(verdict(435, 0), ERRNO | 38, "clone3");
    assert_eq!((verdict(41, 2), verdict(41, 40)), (ALLOW, ERRNO | 1), "socket");
    assert_eq!(verdict(50, 0), 0x7ffc_0000, "listen is logged");
    assert_eq!(verdict(169, 0), KILL, "reboot");
    assert_eq!(verdict(452, 0), ERRNO | 38, "newer than the policy");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_machines_have_their_own_numbers() {
    let filter = filter(POLICY);
    let verdict = |arch, number, first| run(&filter.program, arch, number, [first, 0, 0, 0, 0, 0]).0;
    assert_eq!(verdict(I386, 3, 0), ALLOW, "read on i386");
    assert_eq!(verdict(I386, 21, 0), ERRNO | 1, "mount on i386");
    assert_eq!(verdict(I386, 102, 4), 0x7ffc_0000, "socketcall(listen)");
    assert_eq!(verdict(I386, 102, 2), ERRNO | 1, "socketcall(bind)");
    assert_eq!(verdict(X86_64, 0x4000_0000, 0), ALLOW, "read on x32");
    assert_eq!(verdict(X86_64, 0x4000_00a5, 0), ERRNO | 1, "mount on x32");
    assert_eq!(verdict(0xc000_00b7, 63, 0), KILL, "a machine that is not listed");
    let only =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO"}]}"#;
    let native = self::filter(only);
    assert_eq!(
        run(&native.program, X86_64, 0x4000_00a5, [0; 6]).0,
        KILL,
        "x32 without being listed"
    );
    assert_eq!(run(&native.program, X86_64, 165, [0; 6]).0, ERRNO | 1);
    assert_eq!(run(&native.program, X86_64, 1000, [0; 6]).0, ALLOW);
}

#[test]
fn every_operator_compares_64_bits() {
    let values: [u64; 7] = [0, 1, 5, 0xffff_ffff, 1 << 32, (1 << 32) + 5, u64::MAX];
    type Holds = fn(u64, u64) -> bool;
    let operators: [(&str, Holds); 6] = [
        ("SCMP_CMP_EQ", |a, b| a == b),
        ("SCMP_CMP_NE", |a, b| a != b),
        ("SCMP_CMP_GT", |a, b| a > b),
        ("SCMP_CMP_GE", |a, b| a >= b),
        ("SCMP_CMP_LT", |a, b| a < b),
        ("SCMP_CMP_LE", |a, b| a <= b),
    ];
    for (name, holds) in operators {
        for bound in values {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["openat"],"action":"SCMP_ACT_ERRNO",
                "args":[{{"index":2,"value":{bound},"op":"{name}"}},{{"index":3,"value":7,"op":"SCMP_CMP_EQ"}}]}}]}}"#
            );
            let filter = filter(&json);
            for value in values {
                let (verdict, _) = run(
                    &filter.program,
                    tables::NATIVE.audit,
                    libc::SYS_openat as u32,
                    [0, 0, value, 7, 0, 0],
                );
                assert_eq!(
                    verdict == ERRNO | 1,
                    holds(value, bound),
                    "{value:#x} {name} {bound:#x}"
                );
                let (other, _) = run(
                    &filter.program,
                    tables::NATIVE.audit,
                    libc::SYS_openat as u32,
                    [0, 0, value, 8, 0, 0],
                );
                assert_eq!(other, ALLOW, "both conditions must hold");
            }
        }
    }
}

#[test]
fn a_long_policy_stays_cheap_per_call() {
    let table = include_str!("tables/x86_64.txt");
    // Every third call allowed: the worst case for ranges.
    let names: Vec<String> = table
        .lines()
        .step_by(3)
        .map(|line| format!("\"{}\"", line.split_once(' ').unwrap().0))
        .collect();
    let json = format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":[{}],"action":"SCMP_ACT_ALLOW"}}]}}"#,
        names.join(",")
    );
    let filter = filter(&json);
    let most = (0..600)
        .map(|number| run(&filter.program, tables::NATIVE.audit, number, [0; 6]).1)
        .max()
        .unwrap();
    assert!(most <= 24, "{most} steps for one call");
}

#[test]
fn an_empty_allowing_policy_needs_no_filter() {
    let seccomp: LinuxSeccomp = serde_json::from_str(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
    assert!(compile(&seccomp).unwrap().is_none());
}

#[test]
fn notify_needs_a_listener_path() {
    let json =
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    let seccomp: LinuxSeccomp = serde_json::from_str(json).unwrap();
    let error = compile(&seccomp).expect_err("refused");
    assert!(error.to_string().contains("listenerPath"), "{error}");
}
