use std::process::Command;

/// Sends a signal, named as `kill` names it.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success(), "process {process} takes no {name}");
}

/// Sets a limit of a process, named as `prlimit` names it.
pub(crate) fn limit(process: u32, limit: &str) {
    let set = Command::new("prlimit").args([limit, "--pid", &process.to_string()]).status().unwrap();
    assert!(set.success(), "process {process} takes no {limit}");
}
