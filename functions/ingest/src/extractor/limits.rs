//! What the operating system holds a child to.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::resource::{Resource, setrlimit};

/// A limit that ended a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Time,
    Memory,
}

/// Takes away from this process, for good, what reading a file does not need: memory, processor time, writing of files and
/// of its own image when it crashes.
pub(super) fn set(memory: u64, seconds: u64) -> io::Result<()> {
    // macOS does not hold a process to its address space; there the deadline alone bounds it.
    #[cfg(target_os = "linux")]
    {
        let space = address_space()? + memory;
        setrlimit(Resource::RLIMIT_AS, space, space)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = memory;
    // The signal of the soft limit ends it, and the hard one does where that were caught.
    setrlimit(Resource::RLIMIT_CPU, seconds, seconds + 1)?;
    setrlimit(Resource::RLIMIT_FSIZE, 0, 0)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}

/// The bytes that the program takes before it begins.
#[cfg(target_os = "linux")]
fn address_space() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status does not tell the size of the process"))
}

/// Which limit ended a child, as far as one did.
pub(super) fn exceeded(status: ExitStatus, last_words: &str) -> Option<Exceeded> {
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        Some(SIGXCPU) => Some(Exceeded::Time),
        // The kernel's way out when the whole machine has no memory left.
        Some(SIGKILL) => Some(Exceeded::Memory),
        // A refused allocation aborts, as other faults do; the standard library says which it was.
        _ if last_words.contains("memory allocation of") => Some(Exceeded::Memory),
        _ => None,
    }
}
