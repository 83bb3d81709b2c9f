use std::process::Command;

/// Sends a signal, named as `kill` names it.
pub(crate) fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap();
    assert!(sent.success(), "process {process} takes no {name}");
}
