//! The configuration as people read it: every key, the value in force, and where it was said.

use std::io;

use super::problem::Origin;
use super::said::Entry;

/// Every key with its value and its origin; secrets are stars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    section: String,
    text: String,
    origin: Origin,
}

impl Explanation {
    pub(super) fn new(entries: &[Entry]) -> Self {
        Self { lines: entries.iter().map(explain_entry).collect() }
    }

    pub(super) fn add_account(&mut self, name: &str, last_four: &str, origin: Origin) {
        let text = format!("{name} = ****{}", last_four.trim_start_matches('*'));
        self.lines.push(Line { section: "accounts".into(), text, origin });
    }

    pub(super) fn add_admin_key(&mut self, name: &str, last_four: &str, origin: Origin) {
        self.add_account(&format!("{name}.admin_key"), last_four, origin);
    }

    /// Writes one line for each key, under the heads of the sections.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let width = self.lines.iter().map(|line| line.text.chars().count()).max().unwrap_or(0);
        let mut section = "";
        for line in &self.lines {
            if line.section != section {
                section = &line.section;
                writeln!(out, "[{section}]")?;
            }
            writeln!(out, "{:width$}  # {}", line.text, line.origin)?;
        }
        Ok(())
    }
}

fn explain_entry(entry: &Entry) -> Line {
    let (section, key) = entry.key.rsplit_once('.').unwrap_or(("", &entry.key));
    Line { section: section.into(), text: format!("{key} = {}", entry.value), origin: entry.origin.clone() }
}
