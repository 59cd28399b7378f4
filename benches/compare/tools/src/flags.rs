//! `--name value` pairs.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;

pub type Failure = Box<dyn std::error::Error>;

pub struct Flags(HashMap<String, String>);

impl Flags {
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut pairs = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("expected --name, found {word}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            pairs.insert(name.to_owned(), value);
        }
        Ok(Self(pairs))
    }

    pub fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure>
    where
        T::Err: Display,
    {
        let parse = |text: &String| text.parse().map_err(|error| format!("--{name} {text}: {error}").into());
        self.0.get(name).map(parse).transpose()
    }

    pub fn required<T: FromStr>(&self, name: &str) -> Result<T, Failure>
    where
        T::Err: Display,
    {
        self.optional(name)?.ok_or_else(|| format!("--{name} is missing").into())
    }

    /// An address on this machine; nothing else is ever a target.
    pub fn loopback(&self, name: &str) -> Result<SocketAddr, Failure> {
        let address: SocketAddr = self.required(name)?;
        match address.ip().is_loopback() {
            true => Ok(address),
            false => Err(format!("--{name} {address}: only loopback addresses are allowed").into()),
        }
    }
}
