//! `docs/errors.md` tells every error that the relay has of its own, no more and no less.

use std::collections::BTreeSet;
use std::path::Path;

use http::StatusCode;

/// A status and a type.
type Class = (u16, String);

/// The classes in a source file: wherever a status stands before a type.
fn classes(file: &str) -> BTreeSet<Class> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = text.split("StatusCode::").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(',')?;
        let kind = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        Some((number(name), kind.to_owned()))
    });
    found.collect()
}

fn number(name: &str) -> u16 {
    let called = |status: &StatusCode| {
        let reason = status.canonical_reason().unwrap_or_default();
        reason.to_uppercase().replace([' ', '-'], "_") == name
    };
    let found = (100..1000).filter_map(|code| StatusCode::from_u16(code).ok()).find(called);
    found.unwrap_or_else(|| panic!("no status is called {name}")).as_u16()
}

/// The rows of a section's table.
fn rows(section: &str) -> BTreeSet<Class> {
    let manual = include_str!("../../docs/errors.md");
    let (_, rest) = manual.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let row = |line: &str| -> Option<Class> {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let status = cells.next()?.parse().ok()?;
        Some((status, cells.next()?.trim_matches('`').to_owned()))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn every_error_of_the_relay_is_in_the_manual() {
    let told: BTreeSet<Class> = classes("refusal.rs").union(&classes("gate/violation.rs")).cloned().collect();
    assert!(told.len() > 25, "{told:?}");
    assert_eq!(rows("Answers to tenants"), told);
}

#[test]
fn every_error_of_the_admin_api_is_in_the_manual() {
    let told = classes("admin/problem.rs");
    assert!(told.len() > 20, "{told:?}");
    assert_eq!(rows("Answers to operators"), told);
}
