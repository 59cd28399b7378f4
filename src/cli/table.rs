//! What people read: tables with columns as wide as their widest cell, and records with one field a line.

use std::io::{self, Write};

/// Writes `head` and `rows`, two spaces between columns, nothing after the last.
pub(super) fn write<R: AsRef<[String]>>(
    out: &mut impl Write,
    head: impl AsRef<[&'static str]>,
    rows: &[R],
) -> io::Result<()> {
    let head: Vec<String> = head.as_ref().iter().map(ToString::to_string).collect();
    let mut widths = vec![0; head.len()];
    for row in rows.iter().map(AsRef::as_ref).chain([&head[..]]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in [&head[..]].into_iter().chain(rows.iter().map(AsRef::as_ref)) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Writes each field on a line of its own.
pub(super) fn record(out: &mut impl Write, fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    fields
        .iter()
        .try_for_each(|(name, value)| writeln!(out, "{}", format!("{name:width$}  {value}").trim_end()))
}

/// What is there, or what is said when nothing is.
pub(super) fn or(value: Option<&String>, none: &str) -> String {
    value.cloned().unwrap_or_else(|| none.to_owned())
}
