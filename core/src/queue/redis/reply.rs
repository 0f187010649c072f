//! What a script answered, taken apart. Text that is no UTF-8 is read with marks in place of what is not, so that a
//! damaged payload is one bad payload and not a call that fails for ever.

use std::collections::HashMap;

use redis::Value;

/// A reply, or a part of one.
#[derive(Debug, Clone)]
pub(super) struct Reply(Value);

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    pub(super) fn list(self) -> Vec<Self> {
        match self.0 {
            Value::Array(values) | Value::Set(values) => values.into_iter().map(Self).collect(),
            Value::Nil => Vec::new(),
            single => vec![Self(single)],
        }
    }

    /// A list of texts.
    pub(super) fn texts(self) -> Vec<String> {
        self.list().into_iter().map(Self::text).collect()
    }

    /// Numbers become their digits; nothing becomes the empty text.
    pub(super) fn text(self) -> String {
        match self.0 {
            Value::BulkString(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            },
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => text,
            Value::Okay => "OK".to_owned(),
            Value::Int(number) => number.to_string(),
            _ => String::new(),
        }
    }

    /// Fields and values, which stand in a map or one after the other.
    pub(super) fn pairs(self) -> HashMap<String, String> {
        if let Value::Map(pairs) = self.0 {
            return pairs
                .into_iter()
                .map(|(field, value)| (Self(field).text(), Self(value).text()))
                .collect();
        }
        let mut texts = self.texts().into_iter();
        let mut pairs = HashMap::new();
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            pairs.insert(field, value);
        }
        pairs
    }

    pub(super) fn is_nil(&self) -> bool {
        matches!(self.0, Value::Nil)
    }
}

/// The fields of a list by position: what is absent is empty.
#[derive(Debug)]
pub(super) struct Fields(std::vec::IntoIter<Reply>);

impl Fields {
    pub(super) fn of(reply: Reply) -> Self {
        Self(reply.list().into_iter())
    }

    /// Of a text, word by word.
    pub(super) fn of_words(text: &str) -> Self {
        let words = text.split(' ').map(|word| Reply(Value::SimpleString(word.to_owned())));
        Self(words.collect::<Vec<_>>().into_iter())
    }

    pub(super) fn next(&mut self) -> Reply {
        self.0.next().unwrap_or(Reply(Value::Nil))
    }

    pub(super) fn text(&mut self) -> String {
        self.next().text()
    }

    /// Zero for what is no number: counts that are absent have never moved.
    pub(super) fn count(&mut self) -> u64 {
        self.text().parse().unwrap_or_default()
    }

    /// An instant, if there is one.
    pub(super) fn instant(&mut self) -> Option<i64> {
        self.text().parse().ok()
    }

    pub(super) fn flag(&mut self) -> bool {
        self.text() == "1"
    }
}
