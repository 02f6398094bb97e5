//! Reports of the kernel's TSM (configfs-tsm, Linux 6.7): a folder made under the root is one report request; writing `inblob` and reading `outblob` makes
//! the report, removing the folder ends it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sealwire_attest::TeeKind;
use tokio::sync::Mutex;

use super::{EvidenceError, Making, Quote, QuoteProvider, cert_table};

/// Where the kernel offers reports.
pub const CONFIGFS_ROOT: &str = "/sys/kernel/config/tsm/report";
/// Largest attribute that is read.
const MAX_BLOB: usize = 1_024 * 1_024;
/// How long an attribute may take to appear in a new entry.
const APPEARANCE: Duration = Duration::from_secs(2);
/// Names that are tried for an entry; those of a process that died may be in the way.
const NAMES: u64 = 64;

/// The kernel's reports, one at a time.
#[derive(Debug, Clone)]
pub struct ConfigfsTsm {
    root: Arc<Root>,
    /// The guest drivers have one buffer, and a report that nobody waits for any more still takes its time.
    turn: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    names: AtomicU64,
}

impl ConfigfsTsm {
    /// Reports under this root, [`CONFIGFS_ROOT`] if it is the kernel's own.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            root: Arc::new(Root {
                path,
                names: AtomicU64::new(0),
            }),
            turn: Arc::default(),
        }
    }
}

impl QuoteProvider for ConfigfsTsm {
    fn quote(&self, report_data: [u8; 64]) -> Making<'_, Quote> {
        let root = Arc::clone(&self.root);
        let turn = Arc::clone(&self.turn);
        Box::pin(async move {
            let turn = turn.lock_owned().await;
            let work = move || {
                let report = root.report(&report_data);
                drop(turn);
                report
            };
            tokio::task::spawn_blocking(work)
                .await
                .unwrap_or(Err(EvidenceError::GivenUp))
        })
    }
}

impl Root {
    fn report(&self, report_data: &[u8; 64]) -> Result<Quote, EvidenceError> {
        if !self.path.is_dir() {
            return Err(EvidenceError::NoConfigfs(self.path.clone()));
        }
        let entry = self.entry()?;
        let before = entry.generation()?;
        entry.write("inblob", report_data)?;
        let provider = entry.read("provider")?;
        let tee = match provider.trim_ascii() {
            b"tdx_guest" => TeeKind::Tdx,
            b"sev_guest" => TeeKind::SevSnp,
            other => {
                let name = String::from_utf8_lossy(other).chars().take(40).collect();
                return Err(EvidenceError::OtherProvider(name));
            }
        };
        let quote = entry.read("outblob")?;
        let certificates = match tee {
            TeeKind::SevSnp if entry.has("auxblob") => {
                cert_table::certificates(&entry.read("auxblob")?)?
            }
            // The quote holds them.
            _ => Vec::new(),
        };
        let after = entry.generation()?;
        if before.checked_add(1) != Some(after) {
            return Err(EvidenceError::Generation { before, after });
        }
        Ok(Quote {
            tee,
            quote,
            certificates,
            collateral: None,
        })
    }

    fn entry(&self) -> Result<Entry, EvidenceError> {
        let mut tried = 0;
        loop {
            let number = self.names.fetch_add(1, Ordering::Relaxed);
            let path = self
                .path
                .join(format!("sealwire-{}-{number}", std::process::id()));
            tried += 1;
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Entry(path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tried < NAMES => {}
                Err(error) => {
                    return Err(EvidenceError::Configfs(
                        format!("cannot make {}", path.display()),
                        error,
                    ));
                }
            }
        }
    }
}

/// A report request; it ends with this value.
struct Entry(PathBuf);

impl Drop for Entry {
    fn drop(&mut self) {
        // Nothing can be done about one that stays: the next one has another name.
        let _ = fs::remove_dir(&self.0);
    }
}

impl Entry {
    fn has(&self, attribute: &str) -> bool {
        self.0.join(attribute).exists()
    }

    fn generation(&self) -> Result<u64, EvidenceError> {
        let text = self.read("generation")?;
        std::str::from_utf8(&text)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| {
                EvidenceError::Configfs("generation".to_owned(), ErrorKind::InvalidData.into())
            })
    }

    fn read(&self, attribute: &str) -> Result<Vec<u8>, EvidenceError> {
        let failed = |error| EvidenceError::Configfs(format!("reading {attribute}"), error);
        let file = appeared(&self.0.join(attribute), |path| File::open(path)).map_err(failed)?;
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_BLOB).unwrap_or(u64::MAX);
        file.take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() > MAX_BLOB {
            return Err(failed(ErrorKind::FileTooLarge.into()));
        }
        Ok(bytes)
    }

    fn write(&self, attribute: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let failed = |error| EvidenceError::Configfs(format!("writing {attribute}"), error);
        let open = |path: &Path| OpenOptions::new().write(true).open(path);
        let mut file = appeared(&self.0.join(attribute), open).map_err(failed)?;
        // One write is one change of the report; the kernel takes the bytes when the file is closed.
        file.write_all(bytes).map_err(failed)
    }
}

fn appeared(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> io::Result<File> {
    let end = Instant::now() + APPEARANCE;
    loop {
        match open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound && Instant::now() < end => {
                sleep(Duration::from_millis(2));
            }
            result => return result,
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::thread::{JoinHandle, spawn};

    use super::super::cert_table::tests::table;
    use super::*;

    /// What the thread that acts as the kernel does.
    #[derive(Clone)]
    struct Kernel {
        provider: &'static str,
        auxiliary: Option<Vec<u8>>,
        /// Writes that it counts for one.
        steps: u64,
    }

    impl Kernel {
        /// Serves one report request under `root`: the quote is "quote over " and the report data. Returns the entry's path.
        fn serve(self, root: &Path) -> JoinHandle<PathBuf> {
            let root = root.to_owned();
            spawn(move || {
                let entry = loop {
                    let made = fs::read_dir(&root).expect("a folder").next();
                    if let Some(made) = made {
                        break made.expect("an entry").path();
                    }
                    sleep(Duration::from_millis(1));
                };
                let put = |name: &str, bytes: &[u8]| {
                    let new = root.join("new");
                    fs::write(&new, bytes).expect("a file");
                    fs::rename(&new, entry.join(name)).expect("a file");
                };
                put("generation", b"7\n");
                put("inblob", b"");
                let report_data = loop {
                    let bytes = fs::read(entry.join("inblob")).expect("a file");
                    if bytes.len() == 64 {
                        break bytes;
                    }
                    sleep(Duration::from_millis(1));
                };
                // Attributes do not stand in the way of removing an entry: those here go when the last one is read, which a pipe shows.
                let last = root.join("pipe");
                let made = Command::new("mkfifo").arg(&last).status().expect("mkfifo");
                assert!(made.success());
                fs::rename(&last, entry.join("generation")).expect("a pipe");
                if let Some(auxiliary) = &self.auxiliary {
                    put("auxblob", auxiliary);
                }
                put(
                    "outblob",
                    &[b"quote over ", report_data.as_slice()].concat(),
                );
                put("provider", self.provider.as_bytes());
                let pipe = OpenOptions::new()
                    .write(true)
                    .open(entry.join("generation"));
                let Ok(mut generation) = pipe else {
                    return entry;
                };
                for file in fs::read_dir(&entry).expect("a folder") {
                    fs::remove_file(file.expect("a file").path()).expect("removed");
                }
                writeln!(generation, "{}", 7 + self.steps).expect("a reader");
                drop(generation);
                entry
            })
        }
    }

    const TDX: Kernel = Kernel {
        provider: "tdx_guest\n",
        auxiliary: None,
        steps: 1,
    };

    async fn quote(kernel: Kernel) -> Result<Quote, EvidenceError> {
        let root = tempfile::tempdir().expect("a folder");
        let thread = kernel.serve(root.path());
        let quote = ConfigfsTsm::new(root.path().to_owned())
            .quote([0x5a; 64])
            .await;
        let entry = thread.join().expect("no panic");
        assert!(!entry.exists(), "the entry is left behind");
        quote
    }

    #[tokio::test]
    async fn a_quote_of_tdx() {
        let made = quote(TDX).await.expect("a quote");
        assert_eq!(made.tee, TeeKind::Tdx);
        assert_eq!(made.quote, [&b"quote over "[..], &[0x5a; 64]].concat());
        assert!(made.certificates.is_empty());
    }

    #[tokio::test]
    async fn a_report_of_sev_snp_brings_its_certificates() {
        let made = quote(Kernel {
            provider: "sev_guest",
            auxiliary: Some(table(&[(2, b"ask"), (0, b"vcek")])),
            ..TDX
        })
        .await
        .expect("a report");
        assert_eq!(made.tee, TeeKind::SevSnp);
        assert_eq!(made.certificates, [&b"vcek"[..], b"ask"]);
    }

    #[tokio::test]
    async fn a_report_that_another_writer_changed_is_refused() {
        let error = quote(Kernel { steps: 2, ..TDX })
            .await
            .expect_err("changed");
        assert!(
            matches!(
                error,
                EvidenceError::Generation {
                    before: 7,
                    after: 9
                }
            ),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_unreadable_certificate_table_is_an_error() {
        let root = tempfile::tempdir().expect("a folder");
        let kernel = Kernel {
            provider: "sev_guest",
            auxiliary: Some(vec![1; 10]),
            ..TDX
        };
        // The thread waits for a reader that does not come; it ends with the process.
        drop(kernel.serve(root.path()));
        let error = ConfigfsTsm::new(root.path().to_owned())
            .quote([0; 64])
            .await
            .expect_err("no table");
        assert!(
            matches!(error, EvidenceError::CertificateTable(_)),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_unknown_provider_is_named() {
        let root = tempfile::tempdir().expect("a folder");
        let kernel = Kernel {
            provider: "arm_cca_guest",
            ..TDX
        };
        drop(kernel.serve(root.path()));
        let error = ConfigfsTsm::new(root.path().to_owned())
            .quote([0; 64])
            .await
            .expect_err("unknown");
        assert!(
            matches!(&error, EvidenceError::OtherProvider(name) if name == "arm_cca_guest"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn without_the_kernels_folder_it_says_what_is_needed() {
        let root = tempfile::tempdir().expect("a folder");
        let absent = root.path().join("tsm");
        let error = ConfigfsTsm::new(absent.clone())
            .quote([0; 64])
            .await
            .expect_err("absent");
        assert!(
            matches!(&error, EvidenceError::NoConfigfs(path) if *path == absent),
            "{error}"
        );
    }
}
