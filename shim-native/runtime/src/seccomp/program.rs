//! Classic BPF from verdicts.

use super::policy::{Condition, MachinePolicy, Operator, Policy, Verdict, ret};
use super::tables::X32_BIT;
use crate::error::Error;
use libc::sock_filter;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const GREATER_OR_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// The kernel's limit of instructions (BPF_MAXINSNS).
const LONGEST: usize = 4096;

const fn op(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// A run of call numbers, from `first` to the next run, with one verdict.
struct Range<'p> {
    first: u32,
    verdict: Leaf<'p>,
}

#[derive(Clone, Copy, PartialEq)]
enum Leaf<'p> {
    Plain(u32),
    Conditional(&'p Verdict),
}

/// Builds the whole program. Calls of a machine that is not listed kill the process: their numbers mean
/// something else.
pub(super) fn assemble(policy: &Policy) -> Result<Vec<sock_filter>, Error> {
    let mut program = vec![op(LOAD, ARCH)];
    let mut audits: Vec<u32> = policy
        .machines
        .iter()
        .map(|machine| machine.machine.audit)
        .collect();
    audits.sort_unstable();
    audits.dedup();
    for audit in audits {
        let mut body = vec![op(LOAD, NUMBER)];
        body.extend(search(&ranges(policy, audit)));
        program.push(jump(EQUAL, audit, 0, 1));
        program.push(op(JUMP, 1));
        program.push(op(JUMP, body.len() as u32));
        program.extend(body);
    }
    program.push(op(RETURN, ret::KILL_PROCESS));
    if program.len() > LONGEST {
        let reason = format!(
            "compiles to {} instructions, the kernel takes {LONGEST}",
            program.len()
        );
        return Err(Error::spec("linux.seccomp", reason));
    }
    Ok(program)
}

/// Verdicts of every number under one `AUDIT_ARCH`, as runs. x32 shares x86_64's with bit 30 set.
fn ranges(policy: &Policy, audit: u32) -> Vec<Range<'_>> {
    let mut ranges = Vec::new();
    let here = |machine: &&MachinePolicy| machine.machine.audit == audit;
    let mut machines: Vec<&MachinePolicy> = policy.machines.iter().filter(here).collect();
    machines.sort_by_key(|machine| machine.machine.bit);
    for machine in &machines {
        machine_ranges(machine, policy.default, &mut ranges);
    }
    if machines.iter().all(|machine| machine.machine.is_x86_64()) {
        // Unlisted x32 calls are another machine's, too. (-1, which a tracer may leave behind, falls in here
        // as it does with libseccomp.)
        push(&mut ranges, X32_BIT, Leaf::Plain(ret::KILL_PROCESS));
    }
    ranges
}

fn machine_ranges<'p>(machine: &'p MachinePolicy, default: u32, ranges: &mut Vec<Range<'p>>) {
    let mut next = machine.machine.bit;
    let gap = |ranges: &mut Vec<Range<'p>>, from: u32, to: u32| {
        if from == to {
            return;
        }
        push(
            ranges,
            from,
            Leaf::Plain(machine.verdict_of_unlisted(from, default)),
        );
        if let Some(unknown) = machine
            .unknown_from
            .filter(|unknown| *unknown > from && *unknown < to)
        {
            push(
                ranges,
                unknown,
                Leaf::Plain(machine.verdict_of_unlisted(unknown, default)),
            );
        }
    };
    for (number, verdict) in &machine.calls {
        gap(ranges, next, *number);
        let plain = verdict.conditional.is_empty();
        push(
            ranges,
            *number,
            if plain {
                Leaf::Plain(verdict.otherwise)
            } else {
                Leaf::Conditional(verdict)
            },
        );
        next = number + 1;
    }
    gap(ranges, next, u32::MAX);
}

/// Appends a run, joined to the one before when the verdict is the same.
fn push<'p>(ranges: &mut Vec<Range<'p>>, first: u32, verdict: Leaf<'p>) {
    if ranges.last().is_none_or(|last| last.verdict != verdict) {
        ranges.push(Range { first, verdict });
    }
}

/// Binary search over the runs; the accumulator holds the number.
fn search(ranges: &[Range<'_>]) -> Vec<sock_filter> {
    if let [only] = ranges {
        return match only.verdict {
            Leaf::Plain(value) => vec![op(RETURN, value)],
            Leaf::Conditional(verdict) => decide(verdict),
        };
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (below, above) = (search(low), search(high));
    let mut program = Vec::with_capacity(below.len() + above.len() + 2);
    if below.len() <= u8::MAX as usize {
        program.push(jump(GREATER_OR_EQUAL, high[0].first, below.len() as u8, 0));
    } else {
        program.push(jump(GREATER_OR_EQUAL, high[0].first, 0, 1));
        program.push(op(JUMP, below.len() as u32));
    }
    program.extend(below);
    program.extend(above);
    program
}

/// Alternatives one after the other; each failing one jumps to the next.
fn decide(verdict: &Verdict) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for (conditions, value) in &verdict.conditional {
        // Built backwards: each test needs to know how far the end of the alternative is.
        let mut block = vec![op(RETURN, *value)];
        for condition in conditions.iter().rev() {
            let mut test = test(condition, block.len());
            test.extend(block);
            block = test;
        }
        program.extend(block);
    }
    program.push(op(RETURN, verdict.otherwise));
    program
}

/// One 64-bit comparison in two 32-bit halves. Falls through when it holds; jumps over `rest` further
/// instructions (the rest of the alternative) when it does not.
fn test(condition: &Condition, rest: usize) -> Vec<sock_filter> {
    let offset = ARGUMENTS + condition.argument * 8;
    let (low_at, high_at) = if cfg!(target_endian = "little") {
        (offset, offset + 4)
    } else {
        (offset + 4, offset)
    };
    let (high, low) = ((condition.value >> 32) as u32, condition.value as u32);
    let (high_mask, low_mask) = ((condition.mask >> 32) as u32, condition.mask as u32);
    let load = |at: u32, mask: u32| {
        let mut code = vec![op(LOAD, at)];
        if mask != u32::MAX {
            code.push(op(AND, mask));
        }
        code
    };
    let (load_high, load_low) = (load(high_at, high_mask), load(low_at, low_mask));
    // Distance over the low half (its load and its test).
    let low_part = load_low.len() as u8 + 1;
    // The test of an alternative is at most 6 conditions of 6 instructions: distances fit.
    let rest = rest as u8;
    let mut code = load_high;
    let (holds, fails) = (low_part, low_part + rest);
    match condition.op {
        Operator::Equal => {
            code.push(jump(EQUAL, high, 0, fails));
            code.extend(load_low);
            code.push(jump(EQUAL, low, 0, rest));
        }
        Operator::NotEqual => {
            code.push(jump(EQUAL, high, 0, holds));
            code.extend(load_low);
            code.push(jump(EQUAL, low, rest, 0));
        }
        Operator::Greater | Operator::GreaterOrEqual => {
            code.push(jump(GREATER, high, holds + 1, 0));
            code.push(jump(EQUAL, high, 0, fails));
            code.extend(load_low);
            let last = if condition.op == Operator::Greater {
                GREATER
            } else {
                GREATER_OR_EQUAL
            };
            code.push(jump(last, low, 0, rest));
        }
        Operator::Less | Operator::LessOrEqual => {
            code.push(jump(GREATER, high, fails + 1, 0));
            code.push(jump(EQUAL, high, 0, holds));
            code.extend(load_low);
            let last = if condition.op == Operator::Less {
                GREATER_OR_EQUAL
            } else {
                GREATER
            };
            code.push(jump(last, low, rest, 0));
        }
    }
    code
}
