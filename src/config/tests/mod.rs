//! The configuration by its front door: a file, variables, and what comes of them.

mod documented;
mod layers;
mod refusals;
mod sandbox;

use std::path::PathBuf;

use super::{Config, ConfigError};

/// What the operator says in one test.
#[derive(Default)]
struct Operator {
    file: String,
    variables: Vec<(String, String)>,
    sandbox: bool,
}

impl Operator {
    fn writes(file: &str) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    fn sets(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn in_sandbox(mut self) -> Self {
        self.sandbox = true;
        self
    }

    /// Loads the configuration with the folder's name taken out of the texts.
    fn load(self) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("relay.toml");
        std::fs::write(&path, &self.file).unwrap();
        Config::load(Some(&path), self.variables.into_iter(), self.sandbox)
    }

    fn refused(self) -> String {
        let error = self.load().expect_err("must be refused");
        let mut explained = Vec::new();
        error.explanation.write(&mut explained).unwrap();
        assert!(!String::from_utf8(explained).unwrap().contains("hidden"));
        let text = error.to_string();
        let line = |line: &str| match line.find("relay.toml") {
            Some(at) => format!("  - {}", &line[at..]),
            None => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn explained(config: &Config) -> String {
    let mut out = Vec::new();
    config.explain(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
