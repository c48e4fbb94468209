//! Named stretches of time of one call, for whoever traces it.
//!
//! Off unless the caller records: [`step`] then costs a look at a thread-local. What the container's process does
//! before its program runs is recorded in its own memory, and travels to the caller's with [`Message::Steps`].
//!
//! [`Message::Steps`]: crate::protocol::Message

use rustix::time::{ClockId, clock_gettime};
use std::borrow::Cow;
use std::cell::RefCell;
use std::mem;

/// A step that has ended. Times are nanoseconds of CLOCK_MONOTONIC, which all processes of the host share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: Cow<'static, str>,
    pub start_ns: u64,
    pub end_ns: u64,
    /// The process that did it; 0: the caller.
    pub pid: i32,
}

thread_local! {
    static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

/// Most steps of a call; later ones are dropped.
const MAX_STEPS: usize = 256;

/// Runs `work` with its steps added to `steps`. What an enclosing recording has is left alone.
pub fn record<T>(steps: &mut Vec<Step>, work: impl FnOnce() -> T) -> T {
    let outer = STEPS.replace(Some(mem::take(steps)));
    let result = work();
    *steps = STEPS.replace(outer).unwrap_or_default();
    result
}

/// Whether somebody records.
pub fn is_on() -> bool {
    STEPS.with_borrow(Option::is_some)
}

/// Ends when it is dropped.
#[must_use]
#[derive(Debug)]
pub struct Running {
    /// `None`: nobody records.
    begun: Option<(&'static str, u64)>,
}

/// A step of the caller's, from now on.
pub fn step(name: &'static str) -> Running {
    Running {
        begun: is_on().then(|| (name, now_ns())),
    }
}

/// `work` as a step.
pub fn traced<T>(name: &'static str, work: impl FnOnce() -> T) -> T {
    let _step = step(name);
    work()
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((name, start_ns)) = self.begun {
            add(Step {
                name: Cow::Borrowed(name),
                start_ns,
                end_ns: now_ns(),
                pid: 0,
            });
        }
    }
}

/// Adds one that is known otherwise.
pub fn add(step: Step) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps.as_mut().filter(|steps| steps.len() < MAX_STEPS) {
            steps.push(step);
        }
    });
}

/// In a process that was just made: what the copied memory says was recorded is the caller's.
pub(crate) fn begin_child(cloning_ns: u64) {
    if is_on() {
        take();
        add(Step {
            name: Cow::Borrowed("clone"),
            start_ns: cloning_ns,
            end_ns: now_ns(),
            pid: 0,
        });
    }
}

/// Takes over what the process `pid` says it did, and how long its word was on its way.
pub(crate) fn add_childs(steps: Vec<Step>, pid: i32) {
    let last_ns = steps.iter().map(|step| step.end_ns).max();
    for step in steps {
        add(Step { pid, ..step });
    }
    if let Some(start_ns) = last_ns {
        add(Step {
            name: Cow::Borrowed("hear from init"),
            start_ns,
            end_ns: now_ns(),
            pid: 0,
        });
    }
}

/// What was recorded by now, which is taken out.
pub(crate) fn take() -> Vec<Step> {
    STEPS.with_borrow_mut(|steps| steps.as_mut().map(mem::take).unwrap_or_default())
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Nanoseconds of wall time (since 1970) at nanosecond 0 of the monotonic clock.
pub fn wall_offset_ns() -> u64 {
    nanoseconds(ClockId::Realtime).saturating_sub(now_ns())
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_kept_only_while_somebody_records() {
        drop(step("nobody sees this"));
        let mut steps = Vec::new();
        record(&mut steps, || {
            drop(step("first"));
            let _outer = step("outer");
            drop(step("inner"));
        });
        drop(step("nor this"));
        let names: Vec<_> = steps.iter().map(|step| step.name.as_ref()).collect();
        assert_eq!(names, ["first", "inner", "outer"]);
        assert!(steps.iter().all(|step| step.start_ns <= step.end_ns));
        assert!(steps[2].start_ns <= steps[1].start_ns && steps[1].end_ns <= steps[2].end_ns);
    }

    #[test]
    fn two_recordings_that_take_turns_do_not_mix() {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        record(&mut one, || drop(step("a")));
        record(&mut other, || drop(step("b")));
        record(&mut one, || drop(step("c")));
        assert_eq!(one.len(), 2);
        assert_eq!(other.len(), 1);
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let mut steps = Vec::new();
        record(&mut steps, || (0..1000).for_each(|_| drop(step("again"))));
        assert_eq!(steps.len(), MAX_STEPS);
    }
}
