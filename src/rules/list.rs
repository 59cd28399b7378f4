//! Lists with a named limit, written as texts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RulesError;

/// What rules list.
pub trait Listed: Sized + fmt::Display {
    /// The most in one list.
    const MAX: usize;
    /// What they are, for errors.
    const WHAT: &'static str;

    /// Reads one.
    fn read(text: &str) -> Result<Self, RulesError>;
}

/// At most [`Listed::MAX`] things, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T: Listed> List<T> {
    /// Reads all; the first that is wrong refuses the list.
    pub fn parse<U: AsRef<str>>(texts: &[U]) -> Result<Self, RulesError> {
        let mut list = Self::default();
        texts.iter().try_for_each(|text| list.push(text.as_ref()))?;
        Ok(list)
    }

    /// The things in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn push(&mut self, text: &str) -> Result<(), RulesError> {
        if self.0.len() == T::MAX {
            return Err(RulesError::TooMany { what: T::WHAT, max: T::MAX });
        }
        self.0.push(T::read(text)?);
        Ok(())
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Listed> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'de, T: Listed> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

/// Reads one after the other, so that a list that never ends is left at its limit.
struct Reader<T>(PhantomData<T>);

impl<'de, T: Listed> Visitor<'de> for Reader<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}, each a string", T::WHAT)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Self::Value, A::Error> {
        let mut list = List::default();
        while let Some(text) = texts.next_element::<Cow<'_, str>>()? {
            list.push(&text).map_err(A::Error::custom)?;
        }
        Ok(list)
    }
}
