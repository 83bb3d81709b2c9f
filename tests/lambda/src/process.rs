use std::fs::read_to_string;
use std::io;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// What a process has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The time of processors, of all its threads, in user and kernel mode.
    pub cpu: Duration,
    /// Memory that is resident, in bytes.
    pub rss: u64,
    /// The same with what is shared with other processes counted by halves, thirds and so on.
    pub pss: u64,
}

impl Usage {
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        let memory = read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let bytes = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
            line.and_then(|size| size.trim().parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes * 1024)
        };
        Ok(Self { cpu: cpu(pid)?, rss: bytes("Rss:"), pss: bytes("Pss:") })
    }
}

/// In nanoseconds, where `/proc/<pid>/stat` counts hundredths of seconds.
fn cpu(pid: Pid) -> io::Result<Duration> {
    Ok(clock_getcpuclockid(pid)?.now()?.into())
}

/// Whether a process stands still, as a frozen one does.
pub fn is_stopped(pid: i32) -> io::Result<bool> {
    let stat = read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind its name, which may hold anything.
    Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')))
}
