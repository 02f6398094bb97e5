//! Cases and where they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The files of `vectors/v1` and `vectors/chutes/v1.json`, as they were when this crate was built.
const EMBEDDED: [(&str, &str); 15] = [
    ("bundle", include_str!("../../v1/bundle.json")),
    ("context", include_str!("../../v1/context.json")),
    ("schedule", include_str!("../../v1/schedule.json")),
    ("ratchet", include_str!("../../v1/ratchet.json")),
    ("padding", include_str!("../../v1/padding.json")),
    ("exporter", include_str!("../../v1/exporter.json")),
    ("receipt", include_str!("../../v1/receipt.json")),
    ("handshake", include_str!("../../v1/handshake.json")),
    ("frames", include_str!("../../v1/frames.json")),
    ("seal", include_str!("../../v1/seal.json")),
    ("stream", include_str!("../../v1/stream.json")),
    ("carriage", include_str!("../../v1/carriage.json")),
    ("http", include_str!("../../v1/http.json")),
    ("accumulated", include_str!("../../v1/accumulated.json")),
    ("chutes", include_str!("../../chutes/v1.json")),
];

/// `vectors/schema.json`.
pub const SCHEMA: &str = include_str!("../../schema.json");

/// One case (spec/conformance.md section 1).
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique over all files.
    pub id: String,
    /// Which function.
    pub kind: String,
    /// The section that decides, such as `6.3`, `H7.1` or `C5.1`.
    pub spec: String,
    /// What it shows.
    pub comment: String,
    /// Class of the fault.
    pub flags: Vec<String>,
    /// Capabilities without which it cannot be run.
    pub needs: Vec<String>,
    /// The whole case.
    pub json: Value,
}

impl Case {
    fn from_json(json: Value) -> Result<Self, String> {
        let text = |name: &str| {
            json[name]
                .as_str()
                .map(str::to_owned)
                .ok_or(format!("a case without {name}"))
        };
        let texts = |name: &str| {
            json[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|value| value.as_str().map(str::to_owned))
                .collect()
        };
        let case = Self {
            id: text("id")?,
            kind: text("kind")?,
            spec: text("spec")?,
            comment: text("comment")?,
            flags: texts("flags"),
            needs: texts("needs"),
            json,
        };
        if case.json["in"].is_object() && case.json["expect"].is_object() {
            Ok(case)
        } else {
            Err(format!("{}: no in or no expect", case.id))
        }
    }

    /// The code that a negative case expects.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.json["expect"]["error"].as_str()
    }
}

/// All cases, in the order of their files, and the accumulated milestones.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// The cases.
    pub cases: Vec<Case>,
    /// Rounds and digest (hex) of the accumulated mode (spec/conformance.md section 4).
    pub milestones: BTreeMap<u32, String>,
}

/// The vectors cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A folder or file.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file's content.
    #[error("{file}: {why}")]
    Malformed {
        /// Which one.
        file: String,
        /// Why.
        why: String,
    },
}

impl Suite {
    /// The cases that this crate was built with.
    ///
    /// # Errors
    /// [`LoadError`], which would be a fault of the build.
    pub fn embedded() -> Result<Self, LoadError> {
        let mut suite = Self::default();
        for (name, text) in EMBEDDED {
            suite.add(&format!("{name}.json"), text)?;
        }
        suite.finished()
    }

    /// Every `*.json` of a folder.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn from_dir(dir: &Path) -> Result<Self, LoadError> {
        let read = |path: &Path, source| LoadError::Read {
            path: path.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| read(dir, error))? {
            let path = entry.map_err(|error| read(dir, error))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                paths.push(path);
            }
        }
        paths.sort();
        let mut suite = Self::default();
        for path in paths {
            suite.read(&path)?;
        }
        suite.finished()
    }

    /// One file.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        let mut suite = Self::default();
        suite.read(path)?;
        suite.finished()
    }

    fn read(&mut self, path: &Path) -> Result<(), LoadError> {
        let text = fs::read_to_string(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source,
        })?;
        self.add(&path.display().to_string(), &text)
    }

    fn add(&mut self, file: &str, text: &str) -> Result<(), LoadError> {
        let malformed = |why: String| LoadError::Malformed {
            file: file.to_owned(),
            why,
        };
        let document: Value =
            serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if let Some(milestones) = document["milestones"].as_object() {
            for (rounds, digest) in milestones {
                let (Ok(rounds), Some(digest)) = (rounds.parse(), digest.as_str()) else {
                    return Err(malformed(format!("no milestone: {rounds}")));
                };
                self.milestones.insert(rounds, digest.to_owned());
            }
            return Ok(());
        }
        let Value::Array(cases) = document["cases"].clone() else {
            return Err(malformed("no cases".to_owned()));
        };
        for case in cases {
            self.cases.push(Case::from_json(case).map_err(malformed)?);
        }
        Ok(())
    }

    fn finished(self) -> Result<Self, LoadError> {
        let mut seen = BTreeSet::new();
        match self.cases.iter().find(|case| !seen.insert(&case.id)) {
            Some(case) => Err(LoadError::Malformed {
                file: "vectors".to_owned(),
                why: format!("{} stands twice", case.id),
            }),
            None => Ok(self),
        }
    }

    /// The case of an id.
    #[must_use]
    pub fn case(&self, id: &str) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == id)
    }
}
