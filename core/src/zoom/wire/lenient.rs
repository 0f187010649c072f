//! JSON that may hold anything anywhere: scalars and lists that take what they find.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Any JSON value, kept only if it is a scalar.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Scalar {
    #[default]
    Nothing,
    Text(String),
    Number(i64),
    Flag(bool),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(if text.is_empty() { Scalar::Nothing } else { Scalar::Text(text.to_owned()) })
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Nothing, Scalar::Number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                // A whole number that was sent as 12.0; 2^53 is where f64 stops being exact.
                #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and exact")]
                let whole = (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64);
                Ok(whole.map_or(Scalar::Nothing, Scalar::Number))
            }
            fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
                Ok(Scalar::Flag(flag))
            }
            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar::Nothing)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nothing)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl Scalar {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing | Self::Flag(_) => None,
        }
    }

    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Nothing | Self::Flag(_) => None,
        }
    }

    pub(super) fn count(self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }

    /// Whether it says anything but 0.
    pub(super) fn is_not_zero(&self) -> bool {
        match self {
            Self::Number(number) => *number != 0,
            Self::Text(text) => text.trim() != "0",
            Self::Nothing | Self::Flag(_) => true,
        }
    }

    pub(super) fn flag(self) -> bool {
        match self {
            Self::Flag(flag) => flag,
            Self::Number(number) => number != 0,
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            Self::Nothing => false,
        }
    }

    pub(super) fn instant(self) -> Option<DateTime<Utc>> {
        let text = self.text()?;
        crate::period::parse_instant(text.trim()).ok()
    }
}

/// A list; its absence, null or another type in its place is an empty one that knows it.
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    /// There was a list, be it an empty one.
    pub(super) is_there: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { items: Vec::new(), is_there: false }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a list, or anything in its place")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List { items, is_there: true })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
        }
        deserializer.deserialize_any(Items(std::marker::PhantomData))
    }
}
