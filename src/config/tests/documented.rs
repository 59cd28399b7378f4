//! `docs/configuration.md` says what `config/fal-relay.toml` says: its list of keys is made from that file.

use std::fmt::Write;
use std::path::Path;

use crate::config::said::{DEFAULTS, Said};

const BEGIN: &str = "<!-- Made from config/fal-relay.toml by `just docs`; change it there. -->\n";

/// Writes the list into the page when it is set; without it the page is compared.
const UPDATE: &str = "UPDATE_DOCS";

#[test]
fn the_page_lists_every_key_as_the_default_file_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (words, listed) = page.split_once(BEGIN).expect("the page has the line before its list");
    let list = list();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, format!("{words}{BEGIN}{list}")).unwrap();
    } else {
        assert!(
            listed == list,
            "docs/configuration.md is not what config/fal-relay.toml says; `just docs` makes it so"
        );
    }
    for entry in Said::new(false).entries {
        let variable = format!("`FAL_RELAY_{}`", entry.key.to_ascii_uppercase().replace('.', "__"));
        assert!(list.contains(&variable), "{variable} is not in the list");
    }
}

/// The keys of the default file, section by section, each with its variable, its default and its comment.
fn list() -> String {
    let sections = DEFAULTS.find("\n[").map_or("", |at| &DEFAULTS[at..]);
    let (mut out, mut section) = (String::new(), "");
    for block in sections.trim().split("\n\n") {
        let block = match block.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, rest)) => {
                section = name;
                let _ = write!(out, "\n## `[{name}]`\n");
                rest.trim_start()
            }
            None => block,
        };
        write_block(&mut out, section, block);
    }
    out
}

/// A comment and the keys that it stands for, or a comment alone.
fn write_block(out: &mut String, section: &str, block: &str) {
    let comment: Vec<_> = block.lines().filter_map(|line| line.strip_prefix('#')).collect();
    let keys: Vec<_> = block.lines().filter_map(|line| line.split_once(" = ")).collect();
    let keys = keys.iter().filter(|(key, _)| !key.starts_with('#'));
    let mut is_alone = true;
    for (key, value) in keys {
        let separator = if is_alone { "\n" } else { "" };
        let variable = format!("{section}__{key}").replace('.', "__").to_ascii_uppercase();
        let _ = writeln!(out, "{separator}- **`{key}`** = `{value}` · `FAL_RELAY_{variable}`");
        is_alone = false;
    }
    let indent = if is_alone { "" } else { "  " };
    for part in comment.split(|line| line.is_empty()).filter(|part| !part.is_empty()) {
        let is_example = part.iter().all(|line| line.starts_with(" [[") || line.contains(" = "));
        let (open, close) = if is_example { ("```toml\n", "```\n") } else { ("", "") };
        let lines: Vec<_> = part.iter().map(|line| format!("{indent}{}\n", line.trim())).collect();
        let _ = write!(out, "\n{open}{}{close}", lines.concat());
    }
}
