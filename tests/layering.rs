//! Holds the house to its plan: a room imports only from floors below it.
//!
//! Reads `src` as text: comments, string literals and test-only items are blanked first, then every path that begins
//! at the crate's root counts as an import. `cargo nextest run --test layering --no-capture` also prints the counts.

#[cfg(test)]
#[path = "layering/limits.rs"]
mod limits;
#[path = "layering/scan.rs"]
mod scan;

#[cfg(test)]
mod layering {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::scan::{clean, count_unwraps, function_lines, percentile, tokens};

    /// The floors, from the ground up. Rooms on one floor do not know each other.
    const FLOORS: &[&[&str]] = &[
        &["clock", "ids", "money", "random", "secret"],
        &["key", "fal", "call_log", "metrics", "period", "rules", "pricing", "outside"],
        &["store", "limits", "alerts", "tls", "upstream", "platform", "sandbox"],
        &["relay", "admin", "billing"],
        &["http"],
        &["config", "telemetry"],
        &["serve"],
        &["cli"],
        &["main"],
    ];

    /// Rooms that only these others may know.
    const RESERVED: &[(&str, &[&str])] = &[("sandbox", &["config", "serve", "cli"])];

    /// Imports along one floor, each with its reason.
    const ALONG: &[(&str, &str)] = &[
        // The configuration gathers the settings of every room, those of the log too.
        ("config", "telemetry"),
    ];

    const LONG_FILE_LINES: usize = 400;
    /// One file in so many may be longer.
    const LONG_FILES_ONE_IN: usize = 10;

    /// One file of `src`, cleaned for reading.
    pub(crate) struct Source {
        path: PathBuf,
        /// The top-level module that the file belongs to.
        pub(crate) room: String,
        /// How many `super` lead from the file to the crate's root.
        depth: usize,
        lines: usize,
        pub(crate) code: String,
        test_only: bool,
    }

    #[test]
    fn no_room_imports_from_its_own_floor_or_above() {
        let faults: Vec<String> = product().iter().flat_map(import_faults).collect();
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }

    #[test]
    fn every_room_has_a_floor_and_every_floor_its_rooms() {
        let built: BTreeSet<String> = sources().into_iter().map(|source| source.room).collect();
        let planned: BTreeSet<String> =
            FLOORS.iter().flat_map(|floor| floor.iter().map(ToString::to_string)).collect();
        let homeless: Vec<_> = built.difference(&planned).collect();
        let unbuilt: Vec<_> = planned.difference(&built).collect();
        assert!(homeless.is_empty(), "rooms on no floor; add them to FLOORS: {homeless:?}");
        assert!(unbuilt.is_empty(), "rooms that FLOORS names and src lacks: {unbuilt:?}");
    }

    #[test]
    fn nine_files_in_ten_are_short() {
        let all = sources();
        let long: Vec<String> = all
            .iter()
            .filter(|source| source.lines > LONG_FILE_LINES)
            .map(|source| format!("{}: {} lines", source.path.display(), source.lines))
            .collect();
        let may_be_long = all.len() / LONG_FILES_ONE_IN;
        assert!(
            long.len() <= may_be_long,
            "over {LONG_FILE_LINES} lines, and more than one file in ten:\n{}",
            long.join("\n")
        );
    }

    /// Nothing to fail: the counts are for people.
    #[test]
    fn the_counts() {
        let product = product();
        let files: Vec<usize> = product.iter().map(|source| source.lines).collect();
        let functions: Vec<usize> = product.iter().flat_map(|source| function_lines(&source.code)).collect();
        let unwraps: usize = product.iter().map(|source| count_unwraps(&source.code)).sum();
        assert!(!files.is_empty() && !functions.is_empty(), "found no code to count");
        println!("files: {}, with {} lines", files.len(), files.iter().sum::<usize>());
        println!(
            "lines per file: median {}, 90th percentile {}",
            percentile(&files, 50),
            percentile(&files, 90)
        );
        println!("functions: {}", functions.len());
        println!(
            "lines per function: median {}, 90th percentile {}",
            percentile(&functions, 50),
            percentile(&functions, 90)
        );
        println!("unwrap and expect outside tests: {unwraps}");
    }

    /// A literal read wrongly would hide the code behind it; the braces would tell.
    #[test]
    fn the_scanner_keeps_its_footing_in_every_file() {
        for source in sources() {
            let count = |brace| source.code.matches(brace).count();
            assert_eq!(count('{'), count('}'), "braces of {} after blanking", source.path.display());
        }
    }

    #[test]
    fn the_scanner_sees_what_is_wrong() {
        let faults = |room: &str, depth: usize, code: &str| import_faults(&source(room, depth, code)).len();
        assert_eq!(faults("store", 1, "use crate::relay::Relay;"), 1, "a floor above");
        assert_eq!(faults("store", 1, "use crate::tls;"), 1, "the same floor");
        assert_eq!(
            faults("store", 1, "use crate::{clock::Clock, http::{self, Router}, relay};"),
            2,
            "in braces"
        );
        assert_eq!(faults("store", 1, "fn f() { crate :: relay :: go() }"), 1, "in an expression");
        assert_eq!(faults("store", 2, "use super::super::relay::Relay;"), 1, "by the stairs at the back");
        assert_eq!(
            faults("store", 1, "use super::relay;"),
            1,
            "by the stairs at the back, from a room's door"
        );
        assert_eq!(faults("store", 1, "pub(in crate::relay) fn f() {}"), 1, "in a visibility");
        assert_eq!(faults("store", 1, "use crate::nowhere::Thing;"), 1, "a room that is on no floor");
        assert_eq!(faults("store", 1, "use crate::*;"), 1, "everything at once");
        assert_eq!(faults("relay", 1, "use crate::sandbox::Fal;"), 1, "the sandbox, from the relay");
        assert_eq!(
            faults("telemetry", 1, "use crate::config::Config;"),
            1,
            "along a floor against its reason"
        );
        assert_eq!(faults("main", 1, "use fal_relay::nowhere;"), 1, "from outside");
    }

    #[test]
    fn the_scanner_lets_pass_what_is_right() {
        let faults = |room: &str, depth: usize, code: &str| import_faults(&source(room, depth, code));
        let none: Vec<String> = Vec::new();
        assert_eq!(faults("store", 1, "use crate::clock::Clock; use crate::{ids::KeyId, store::Row};"), none);
        assert_eq!(faults("serve", 1, "use crate::sandbox; use crate::config::Config;"), none);
        assert_eq!(faults("config", 1, "use crate::telemetry::Settings;"), none);
        assert_eq!(faults("store", 2, "use super::Row; use super::relay;"), none, "the room's own modules");
        assert_eq!(
            faults("store", 1, "// crate::relay\n/* crate::relay /* */ crate::relay */ fn f() {}"),
            none
        );
        assert_eq!(
            faults("store", 1, r##"const A: &str = "crate::relay\""; const B: &str = r#"crate::"relay"#;"##),
            none
        );
        assert_eq!(faults("store", 1, "fn f<'a>(x: &'a str) { g('\"', '\\'', b'{') } // crate::relay"), none);
        assert_eq!(faults("store", 1, "#[cfg(test)]\nmod tests { use crate::relay; }\nfn f() {}"), none);
        assert_eq!(faults("store", 1, "pub(crate) fn f() {}"), none);
    }

    #[test]
    fn the_scanner_counts_functions_and_unwraps() {
        let code = "fn one() { x.unwrap() }\nfn four(\n  x: u8,\n) -> [u8; 2] {}\ntrait T { fn said(&self) -> [u8; 4]; }\nlet f: fn(u8);";
        assert_eq!(function_lines(code), [1, 3]);
        assert_eq!(
            count_unwraps("a.unwrap(); b.expect(why); c.unwrap_or(0); expect_used; d\n  .unwrap ()"),
            3
        );
        let code = clean("fn f() {}\n#[cfg(test)]\nmod tests {\n fn g() { x.unwrap() }\n}\n").0;
        assert_eq!((function_lines(&code), count_unwraps(&code)), (vec![1], 0));
        assert_eq!(clean("#[cfg(test)]\nmod support;\n").1, ["support"]);
        assert_eq!((percentile(&[9, 1, 5], 50), percentile(&[9, 1, 5], 90)), (5, 9));
    }

    // ---- the plan ----

    fn floor_of(room: &str) -> Option<usize> {
        FLOORS.iter().position(|floor| floor.contains(&room))
    }

    fn import_faults(source: &Source) -> Vec<String> {
        let told = |import: String| {
            why_not(&source.room, &import).map(|why| format!("{}: `{import}`: {why}", source.path.display()))
        };
        imports(source).into_iter().filter_map(told).collect()
    }

    /// Why a room may not import another; `None` when it may.
    fn why_not(room: &str, import: &str) -> Option<String> {
        if room == import || ALONG.contains(&(room, import)) {
            return None;
        }
        let Some(theirs) = floor_of(import) else {
            return Some("is no room on any floor".to_owned());
        };
        let ours = floor_of(room)?;
        if ours <= theirs {
            return Some(format!(
                "is on floor {theirs}, and `{room}` on floor {ours} may look below itself only"
            ));
        }
        let (_, may) = RESERVED.iter().find(|(reserved, _)| *reserved == import)?;
        (floor_of(room) < floor_of("main") && !may.contains(&room))
            .then(|| format!("may be known by {may:?} alone"))
    }

    /// The first names of all paths that begin at the crate's root.
    fn imports(source: &Source) -> BTreeSet<String> {
        let tokens = tokens(&source.code);
        let mut found = BTreeSet::new();
        for at in 0..tokens.len() {
            let follows_a_path = at > 0 && tokens[at - 1] == "::";
            match tokens[at] {
                "crate" | "fal_relay" if !follows_a_path => found.extend(heads(&tokens[at + 1..])),
                "super" if !follows_a_path => found.extend(stairs(&tokens[at..], source.depth)),
                _ => {}
            }
        }
        found
    }

    /// What follows `crate`: `::a`, `::*` or `::{a::.., b}`.
    fn heads(tokens: &[&str]) -> Vec<String> {
        match tokens {
            ["::", "{", rest @ ..] => heads_in_braces(rest),
            ["::", name, ..] => vec![(*name).to_owned()],
            _ => Vec::new(),
        }
    }

    fn heads_in_braces(tokens: &[&str]) -> Vec<String> {
        let mut heads = Vec::new();
        let (mut open, mut fresh) = (1, true);
        for token in tokens {
            match *token {
                "{" => open += 1,
                "}" => open -= 1,
                "," if open == 1 => fresh = true,
                name if open == 1 && fresh => {
                    heads.push(name.to_owned());
                    fresh = false;
                }
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        heads
    }

    /// A chain of `super` long enough to reach the crate's root. A module of the room itself is no room.
    fn stairs(tokens: &[&str], depth: usize) -> Vec<String> {
        let steps = tokens.chunks(2).take_while(|pair| *pair == ["super", "::"]).count();
        if steps < depth {
            return Vec::new();
        }
        let named = heads(&tokens[2 * steps - 1..]);
        named.into_iter().filter(|name| floor_of(name).is_some()).collect()
    }

    // ---- reading ----

    fn sources() -> Vec<Source> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = BTreeMap::new();
        collect(&root, &mut texts);
        let mut test_only = BTreeSet::new();
        let mut sources = Vec::new();
        for (path, text) in texts {
            let (code, test_modules) = clean(&text);
            let inside = path.strip_prefix(&root).unwrap().to_path_buf();
            let home = module_path(&inside);
            test_only.extend(test_modules.into_iter().map(|name| [home.clone(), vec![name]].concat()));
            if inside == Path::new("lib.rs") {
                continue;
            }
            let (room, depth, lines) = (home[0].clone(), home.len(), text.lines().count());
            sources.push(Source { path: inside, room, depth, lines, code, test_only: false });
        }
        for source in &mut sources {
            let home = module_path(&source.path);
            source.test_only = (1..=home.len()).any(|upto| test_only.contains(&home[..upto]));
        }
        sources
    }

    /// The sources that are in the product, without those of tests.
    pub(crate) fn product() -> Vec<Source> {
        sources().into_iter().filter(|source| !source.test_only).collect()
    }

    fn collect(folder: &Path, texts: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, texts);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                texts.insert(path, text);
            }
        }
    }

    /// `store/sqlite.rs` is `[store, sqlite]`, `store/mod.rs` is `[store]`, `lib.rs` is the root itself.
    fn module_path(inside: &Path) -> Vec<String> {
        let stem = inside.with_extension("");
        let names = stem.iter().map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name != "mod" && name != "lib").collect()
    }

    fn source(room: &str, depth: usize, text: &str) -> Source {
        let path = PathBuf::from(format!("{room}.rs"));
        Source {
            path,
            room: room.to_owned(),
            depth,
            lines: text.lines().count(),
            code: clean(text).0,
            test_only: false,
        }
    }
}
