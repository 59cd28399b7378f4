//! Any configuration is taken or refused, with a place for each fault, and no secret is ever printed.
#![no_main]

use std::cell::RefCell;
use std::io::{Seek, Write};

use fal_relay::config::Config;
use libfuzzer_sys::fuzz_target;
use tempfile::NamedTempFile;

/// What every variable here holds that looks like a secret.
const SECRET: &str = "5ecre7canary";

thread_local! {
    static FILE: RefCell<NamedTempFile> = RefCell::new(NamedTempFile::new().expect("a folder for temporary files"));
}

fuzz_target!(|input: (bool, &str)| {
    let (sandbox, text) = input;
    FILE.with_borrow_mut(|file| {
        write(file, text);
        let mut told = Vec::new();
        match Config::load(Some(file.path()), environment(text), sandbox) {
            Ok(config) => config.explain(&mut told).expect("memory takes all"),
            Err(error) => told = error.to_string().into_bytes(),
        }
        let told = String::from_utf8_lossy(&told);
        assert!(!told.is_empty());
        assert!(text.contains(SECRET) || !told.contains(SECRET), "{told}");
    });
});

/// A fal key, and what the file says in lines such as `#env NAME=value`, which are comments to TOML.
fn environment(text: &str) -> impl Iterator<Item = (String, String)> {
    let written = text.lines().filter_map(|line| line.strip_prefix("#env ")?.split_once('='));
    let written = written.map(|(name, value)| (name.to_owned(), value.to_owned()));
    [("FAL_KEY".to_owned(), format!("id:{SECRET}"))].into_iter().chain(written)
}

fn write(file: &mut NamedTempFile, text: &str) {
    let file = file.as_file_mut();
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes())).expect("a disk");
}
