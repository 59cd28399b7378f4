//! Holds the list of limits whole (invariant 7): `docs/reliability.md` names every one, with its value as the source has
//! it and the tests that hold it.
//!
//! A limit is a number or a time with a name: every such constant of the rooms that serve, and every such setting. What
//! is no limit though it is a number is told in [`NOT_LIMITS`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::layering::product;
use crate::scan::tokens;

/// Rooms that do not serve tenants: the simulated fal, and commands that end with the person who gave them.
const ELSEWHERE: &[&str] = &["sandbox", "cli"];

/// Numbers that bound nothing, each with what it is.
const NOT_LIMITS: &[(&str, &str)] = &[
    ("admin::DAY_MICROS", "a day"),
    ("admin::LONGEST", "a date"),
    ("admin::PAGE_ROWS", "what a question means that names no number of rows"),
    ("admin::QUOTA_PER_USD", "what an import means that names no price of a point"),
    ("admin::SOFT_PERCENT", "what a budget means that names no part"),
    ("admin::USAGE_DAYS", "what a question means that names no days"),
    ("billing::BILLED_STATUS", "a status"),
    ("call_log::LINE_BYTES", "room that a line is given at first"),
    ("call_log::ROOM_KEPT_BYTES", "room that stays from flush to flush, within BUFFER_MAX_BYTES"),
    ("config::MAX_COUNT", "what a setting may be"),
    ("config::MAX_WAIT", "what a setting may be"),
    ("fal::KEY_MAX", "the longest of three words in the source"),
    ("http::CLIENT_LEFT", "a status"),
    ("http::HEAD_BYTES", "the protocol's"),
    ("http::DATA", "the protocol's"),
    ("http::HEADERS", "the protocol's"),
    ("http::RST_STREAM", "the protocol's"),
    ("http::CONTINUATION", "the protocol's"),
    ("http::END_HEADERS", "the protocol's"),
    ("http::VERSION_BYTES", "the protocol's"),
    ("http::NUMBER_MAX_BYTES", "a number's form"),
    ("key::MAX_DRAWS", "chance: a loop that ends at its first turn but for once in 2^100"),
    ("key::RANDOM_LEN", "a key's form"),
    ("key::CHECKSUM_LEN", "a key's form"),
    ("key::FAIR_BYTES", "a key's form"),
    ("limits::JOBS_RETRY_AFTER", "what a client is told to wait"),
    ("limits::MINUTE_NANOS", "a minute"),
    ("limits::WAIT_PRECISION_NANOS", "how exact a told wait is"),
    ("limits::WINDOW_SECONDS", "a minute"),
    ("metrics::COUNT", "words in a closed list"),
    ("money::CHUNK_DIGITS", "arithmetic"),
    ("money::DIGITS", "an amount's form"),
    ("money::MAX_FRACTION_DIGITS", "a decimal's form"),
    ("money::MAX_NANOS", "an amount's form"),
    ("money::MAX_SCALE", "a price's form"),
    ("money::NANOS", "nano-dollars in a dollar"),
    ("platform::NANO_DIGITS", "a form of numbers"),
    ("pricing::FOUR_K", "an estimate"),
    ("pricing::KEPT_DIGITS", "a price's form"),
    ("pricing::LONGEST_SIDE", "an estimate"),
    ("pricing::MOST_BELIEVED", "an estimate"),
    ("pricing::MOST_CHARACTERS", "an estimate"),
    ("pricing::MOST_UNITS", "an estimate"),
    ("pricing::ONE_K", "an estimate"),
    ("pricing::OTHER_SIDE", "an estimate"),
    ("pricing::PIXELS_IN_MEGAPIXEL", "a megapixel"),
    ("pricing::TWO_K", "an estimate"),
    ("relay::CANCELLED", "a status"),
    ("relay::DAY_SECONDS", "a day"),
    ("relay::USAGE_DAYS", "what a question means that names no days"),
    ("relay::LEFT_WHEN_ASKED", "a part of a hold, which is the limit"),
    ("relay::POLICY_VIOLATION", "a code"),
    ("relay::FIXED_BYTES", "a pass's form"),
    ("relay::UPLOAD_ID_BYTES", "a pass's form"),
    ("relay::REWRITING_MARGIN_BYTES", "room that a reply is given at first"),
    ("rules::MAPPED_BITS", "an address's form"),
    ("server.workers", "a choice: one for each core"),
    ("serve::BACKGROUND_NICENESS", "a priority"),
    ("store::KNOWN_VERSION", "a version"),
    ("store::PREPARED_STATEMENTS", "room for the statements in the source"),
    ("store::COLUMNS", "columns in the source"),
    ("store::DAY_MICROS", "a day"),
    ("store::TENANT", "a column in the source"),
    ("webhooks::JITTER_DIVISOR", "a part"),
    ("upstream::COUNT", "hosts in the source, and UPLOAD_HOSTS_MAX"),
    ("tls::CLOCK_SKEW", "a date in a certificate"),
    ("tls::DAY_SECONDS", "a day"),
    ("tls::LEAF_LIFE", "a date in a certificate"),
    ("websocket::ALL", "the protocol's"),
    ("websocket::BINARY", "the protocol's"),
    ("websocket::CLOSE", "the protocol's"),
    ("websocket::COMPRESSED", "the protocol's"),
    ("websocket::CONTINUATION", "the protocol's"),
    ("websocket::FIN", "the protocol's"),
    ("websocket::KEY_BYTES", "the protocol's"),
    ("websocket::LENGTH_MAX", "the protocol's"),
    ("websocket::MASKED", "the protocol's"),
    ("websocket::OPCODE", "the protocol's"),
    ("websocket::PING", "the protocol's"),
    ("websocket::PONG", "the protocol's"),
    ("websocket::RESERVED", "the protocol's"),
    ("websocket::SHORT_MAX_BYTES", "the protocol's"),
    ("websocket::TEXT", "the protocol's"),
];

/// A row of the table.
struct Row {
    limit: String,
    value: String,
    tests: Vec<String>,
}

#[test]
fn every_limit_is_in_the_table_with_its_value() {
    let (mut limits, rows) = (limits(), rows());
    for (name, _) in NOT_LIMITS {
        assert!(limits.remove(*name).is_some(), "NOT_LIMITS names {name}, which is not in the source");
    }
    let told: BTreeMap<String, String> =
        rows.into_iter().filter(|row| is_name(&row.limit)).map(|row| (row.limit, row.value)).collect();
    let differs = |(name, value): &(&String, &String)| told.get(*name) != Some(*value);
    let faults: Vec<_> = limits.iter().filter(differs).collect();
    assert!(
        faults.is_empty(),
        "docs/reliability.md, \"Every buffer and every wait\", needs a row with this value and a test named \
         invariant_7_* for each of these (or tests/layering/limits.rs a reason in NOT_LIMITS): {faults:#?}"
    );
    let gone: Vec<_> = told.keys().filter(|name| !limits.contains_key(*name)).collect();
    assert!(gone.is_empty(), "docs/reliability.md names limits that are not in the source: {gone:?}");
}

#[test]
fn every_row_has_its_tests_and_every_test_of_invariant_7_a_row() {
    let (rows, built) = (rows(), tests());
    let bare: Vec<_> = rows.iter().filter(|row| row.tests.is_empty()).map(|row| &row.limit).collect();
    assert!(bare.is_empty(), "rows of docs/reliability.md without a test: {bare:?}");
    let named: BTreeSet<String> = rows.into_iter().flat_map(|row| row.tests).collect();
    let missing: Vec<_> = named.difference(&built).collect();
    assert!(missing.is_empty(), "docs/reliability.md names tests that do not exist: {missing:?}");
    let untold: Vec<_> = built.difference(&named).collect();
    assert!(untold.is_empty(), "no row of docs/reliability.md names these tests: {untold:?}");
}

#[test]
fn limits_are_read_as_they_stand() {
    let code = "const A_MAX: usize = 64 * 1024;\npub(super) const B: Duration = Duration::from_secs(86_400);\n\
                const C: std::time::Duration = std::time::Duration::from_millis(50);\nfn f<const N: usize>() {}\n\
                const D: &[u8] = b\"\"; const E: u64 = 10_000; const F: f64 = 1.0; const G: u32 = A * 2 as u32;\n\
                impl X { pub const H: usize = 2 * 1024 * 1024; const ALL: [Self; 3] = []; }";
    let wanted = [
        ("A_MAX", "64 KiB"),
        ("B", "86400 s"),
        ("C", "50 ms"),
        ("E", "10000"),
        ("G", "A * 2"),
        ("H", "2 MiB"),
    ];
    assert_eq!(constants(code), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let toml =
        "[server]\n# a = 1\nlisten = \"x\"\nmax = 10000\n[sandbox]\nstep_ms = 4\n[relay]\nkeys_ms = 1000\n";
    assert_eq!(
        settings(toml),
        [("server.max", "10000"), ("relay.keys_ms", "1000")].map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
}

/// Whether the first cell of a row names a constant or a setting; the others are words.
fn is_name(limit: &str) -> bool {
    !limit.contains(' ') && (limit.contains("::") || limit.contains('.'))
}

/// Each by its name; where a room has several of one name, with all their values, so that none hides behind another.
fn limits() -> BTreeMap<String, String> {
    let sources = product().into_iter().filter(|source| !ELSEWHERE.contains(&source.room.as_str()));
    let constants = sources.flat_map(|source| {
        let room = source.room.clone();
        constants(&source.code).into_iter().map(move |(name, value)| (format!("{room}::{name}"), value))
    });
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in constants.chain(settings(&read("config/fal-relay.toml"))) {
        found.entry(name).or_default().insert(value);
    }
    found.into_iter().map(|(name, values)| (name, Vec::from_iter(values).join(" and "))).collect()
}

/// The constants that are numbers or times, with their values in people's units.
fn constants(code: &str) -> Vec<(String, String)> {
    let tokens = tokens(code);
    let starts = tokens.iter().enumerate().filter(|(_, token)| **token == "const").map(|(at, _)| at + 1);
    starts.filter_map(|at| constant(&tokens[at..])).collect()
}

fn constant(tokens: &[&str]) -> Option<(String, String)> {
    const NUMBERS: [&str; 8] = ["usize", "u8", "u16", "u32", "u64", "i32", "i64", "Duration"];
    let end = tokens.iter().position(|token| *token == ";")?;
    let equals = tokens[..end].iter().position(|token| *token == "=")?;
    let [name, ":", .., kind] = &tokens[..equals] else { return None };
    let is_path = tokens[2..equals - 1].iter().all(|token| matches!(*token, "std" | "time" | "::"));
    (is_path && NUMBERS.contains(kind)).then(|| ((*name).to_owned(), in_units(&tokens[equals + 1..end])))
}

fn in_units(value: &[&str]) -> String {
    match value {
        [number] => number.replace('_', ""),
        ["1024", "*", "1024"] => "1 MiB".to_owned(),
        [number, "*", "1024"] => format!("{number} KiB"),
        [number, "*", "1024", "*", "1024"] => format!("{number} MiB"),
        ["std", "::", "time", "::", rest @ ..] => in_units(rest),
        ["Duration", "::", "from_secs", "(", number, ")"] => format!("{} s", in_units(&[number])),
        ["Duration", "::", "from_millis", "(", number, ")"] => format!("{} ms", in_units(&[number])),
        [rest @ .., "as", _] => in_units(rest),
        others => others.join(" "),
    }
}

/// The settings that are numbers.
fn settings(toml: &str) -> Vec<(String, String)> {
    let (mut section, mut found) = ("", Vec::new());
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        if !key.starts_with('#') && value.parse::<u64>().is_ok() && !ELSEWHERE.contains(&section) {
            found.push((format!("{section}.{key}"), value.to_owned()));
        }
    }
    found
}

fn rows() -> Vec<Row> {
    let manual = read("docs/reliability.md");
    let (_, section) = manual.split_once("\n## Every buffer and every wait\n").unwrap();
    let table = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Row> = table.skip(2).map(row).collect();
    assert!(rows.len() > 50, "{} rows", rows.len());
    rows
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
    let [limit, value, _what, tests] = cells[..] else { panic!("not four cells: {line}") };
    let tests = tests.split('`').filter(|word| word.starts_with("invariant_7_"));
    Row {
        limit: limit.trim_matches('`').to_owned(),
        value: value.to_owned(),
        tests: tests.map(str::to_owned).collect(),
    }
}

/// The names of all tests of invariant 7.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "node_modules" {
            collect(&path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let words = tokens(&text);
            let named = words.windows(2).filter(|two| two[0] == "fn").map(|two| two[1]);
            found.extend(named.filter(|name| name.starts_with("invariant_7_")).map(str::to_owned));
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
