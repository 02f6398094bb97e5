//! What the run was made on.

use serde_json::{Value, json};

/// Processor, features that the libraries choose their code by, cores, load.
pub(crate) struct Machine {
    cpu: String,
    features: Vec<&'static str>,
    cores: usize,
    load: String,
    core: Option<usize>,
}

impl Machine {
    /// Reads it, and keeps this thread on one core.
    pub(crate) fn read() -> Self {
        // A thread that is kept on one core sees one.
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let core = pin();
        let cpu = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|info| {
                let line = info.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            })
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        Self {
            cpu,
            features: features(),
            cores,
            load: load(),
            core,
        }
    }

    pub(crate) fn avx512(&self) -> bool {
        self.features.contains(&"avx512f")
    }

    pub(crate) fn print(&self) {
        println!(
            "{}; {}; {} cores, {}; load {}",
            self.cpu,
            self.features.join(" "),
            self.cores,
            self.core.map_or_else(
                || "pinned to none".to_owned(),
                |core| format!("pinned to core {core}")
            ),
            self.load
        );
    }

    /// For JSON, with the load of now as that after the run.
    pub(crate) fn json(&self) -> [(&'static str, Value); 5] {
        [
            ("machine", format!("{} x {}", self.cores, self.cpu).into()),
            ("features", json!(self.features)),
            ("pinned_to", json!(self.core)),
            ("load_before", json!(self.load)),
            ("load_after", load().into()),
        ]
    }
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .unwrap_or_else(|_| "unknown".to_owned())
}

/// Those that the libraries compared here look at.
#[cfg(target_arch = "x86_64")]
pub fn features() -> Vec<&'static str> {
    let mut found = Vec::new();
    macro_rules! look {
        ($($name:tt)*) => {
            $(if std::is_x86_feature_detected!($name) { found.push($name); })*
        };
    }
    look!("aes" "pclmulqdq" "avx" "avx2" "bmi2" "adx" "sha" "avx512f" "avx512vl" "avx512ifma");
    found
}

/// Those that the libraries compared here look at.
#[cfg(not(target_arch = "x86_64"))]
pub fn features() -> Vec<&'static str> {
    Vec::new()
}

/// Keeps this thread on one core; `None` where the system does not do that.
fn pin() -> Option<usize> {
    let core = core_affinity::get_core_ids()?.pop()?;
    core_affinity::set_for_current(core).then_some(core.id)
}
