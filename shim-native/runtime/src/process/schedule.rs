//! Scheduling policy, I/O priority and CPU affinity of the new process.

use crate::error::{Error, Step};
use crate::kernel::{io_priority, sched_setattr};
use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process, Scheduler,
};

#[derive(Default)]
pub(super) struct Schedule {
    scheduler: Option<Scheduler>,
    io: Option<LinuxIOPriority>,
}

impl Schedule {
    pub(super) fn new(process: &Process) -> Result<Self, Error> {
        let io = *process.io_priority();
        if let Some(level) = io
            .as_ref()
            .map(LinuxIOPriority::priority)
            .filter(|level| !(0..=7).contains(level))
        {
            return Err(Error::spec(
                "process.ioPriority.priority",
                format!("{level} is not between 0 and 7"),
            ));
        }
        Ok(Self {
            scheduler: process.scheduler().clone(),
            io,
        })
    }

    pub(super) fn apply(&self) -> Result<(), Error> {
        if let Some(scheduler) = &self.scheduler {
            apply_scheduler(scheduler)
                .map_err(|errno| Error::system(Step::Scheduler, format!("{}", scheduler.policy()), errno))?;
        }
        if let Some(io) = &self.io {
            let class = match io.class() {
                IOPriorityClass::IoprioClassRt => 1,
                IOPriorityClass::IoprioClassBe => 2,
                IOPriorityClass::IoprioClassIdle => 3,
            };
            io_priority(class, io.priority() as u32)
                .map_err(|errno| Error::system(Step::Scheduler, "ioPriority", errno))?;
        }
        Ok(())
    }
}

fn apply_scheduler(scheduler: &Scheduler) -> Result<(), rustix::io::Errno> {
    let policy = match scheduler.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => 1,
        LinuxSchedulerPolicy::SchedRr => 2,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => 6,
    };
    let bit = |flag: &LinuxSchedulerFlag| match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    };
    let flags = scheduler.flags().iter().flatten().map(bit).sum();
    let times = [scheduler.runtime(), scheduler.deadline(), scheduler.period()].map(|time| time.unwrap_or(0));
    let (nice, priority) = (scheduler.nice().unwrap_or(0), scheduler.priority().unwrap_or(0));
    sched_setattr(policy, flags, nice, priority as u32, times)
}
