//! The processes that are measured: started, watched through `/proc`, ended.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest time for a process to say that it listens.
const START: Duration = Duration::from_secs(20);
/// Ticks of a second in `/proc/PID/stat`. The kernel's number for user space, the same on every architecture that Rust's Linux targets have.
const TICKS: f64 = 100.0;

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a program with its output watched. It speaks to this machine only: HTTP proxies of the environment are none of its.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = stdout.map(BufReader::new).map(BufRead::lines);
            for line in lines.into_iter().flatten().map_while(Result::ok) {
                // Read to its end in any case: a full pipe would hold the process up.
                let _ = sender.send(line);
            }
        });
        Ok(Self { child, lines })
    }

    /// The rest of the next line that begins so.
    pub(crate) fn said(&self, start: &str) -> io::Result<String> {
        loop {
            let line = self.lines.recv_timeout(START).map_err(|_| {
                io::Error::other(format!(
                    "a process did not say {start:?} within {} s",
                    START.as_secs()
                ))
            })?;
            if let Some(rest) = line.strip_prefix(start) {
                return Ok(rest.to_owned());
            }
        }
    }

    /// Where it says that it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        let address = self.said("listening http://")?;
        address.parse().map_err(io::Error::other)
    }

    /// Seconds that it and its descendants have run on processors.
    pub(crate) fn cpu(&self) -> f64 {
        self.family().into_iter().map(cpu_of).sum()
    }

    /// Bytes of it that are resident.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.unwrap_or(0) * 1_024
    }

    /// Whether it has not ended.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let all = processes();
        let mut at = 0;
        while let Some(parent) = family.get(at).copied() {
            let children = all.iter().filter(|(_, of)| *of == parent);
            family.extend(children.map(|(id, _)| *id));
            at += 1;
        }
        family
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Workers that outlive their parent are ended by their own ids.
        let workers = self.family().split_off(1);
        let _ = self.child.kill();
        let _ = self.child.wait();
        for worker in workers {
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(worker.to_string())
                .stderr(Stdio::null())
                .status();
        }
    }
}

/// Seconds that this process has run on processors.
pub(crate) fn own_cpu() -> f64 {
    cpu_of(std::process::id())
}

/// Whether processes can be watched here.
pub(crate) fn can_watch() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn cpu_of(id: u32) -> f64 {
    let ticks = |at: usize| stat(id).and_then(|fields| fields.get(at)?.parse::<f64>().ok());
    // proc(5): utime and stime are fields 14 and 15; the state is the third.
    (ticks(14 - 3).unwrap_or(0.0) + ticks(15 - 3).unwrap_or(0.0)) / TICKS
}

/// The fields behind the name, which may hold blanks.
fn stat(id: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Every process and its parent.
fn processes() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Some((id, stat(id)?.get(4 - 3)?.parse().ok()?))
        })
        .collect()
}
