//! Whether a body is JSON (RFC 8259), byte by byte, in memory that grows with the depth alone; and how many elements the
//! outer object's `messages` has.

/// Deeper documents are refused.
const DEEPEST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Json {
    expects: Expects,
    /// What is open, from the outside in: `{` or `[`.
    open: Vec<u8>,
    token: Token,
    /// The last key of the outer object, as far as it matters.
    key: Vec<u8>,
    counts: bool,
    messages: Option<u64>,
    at: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expects {
    #[default]
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    Key,
    Colon,
    CommaOrEnd,
    /// The outer value is whole.
    Nothing,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Token {
    #[default]
    None,
    Text,
    Escape,
    /// Digits of `\uXXXX` that are still to come.
    Unicode(u8),
    Number(Number),
    /// What is still to come of `true`, `false`, `null`.
    Word(&'static [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

const MARK: &[u8] = b"\xef\xbb\xbf";

impl Json {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        for byte in bytes {
            let mark = usize::try_from(self.at).ok().and_then(|at| MARK.get(at));
            let is_mark = mark == Some(byte) && self.expects == Expects::Value && self.open.is_empty();
            if !is_mark {
                self.byte(*byte).ok_or_else(|| format!("no JSON at byte {}", self.at))?;
            }
            self.at += 1;
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), String> {
        let is_number_at_the_end =
            self.open.is_empty() && matches!(self.token, Token::Number(at) if at.may_end());
        let is_whole = self.expects == Expects::Nothing && self.token == Token::None;
        if is_whole || is_number_at_the_end { Ok(()) } else { Err("JSON that ends too early".to_owned()) }
    }

    pub(super) fn messages(&self) -> Option<u64> {
        self.messages
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        match self.token {
            Token::None => self.between(byte),
            Token::Text => {
                match byte {
                    b'"' => self.text_ends(),
                    b'\\' => self.token = Token::Escape,
                    0..=0x1f => return None,
                    _ => self.note(byte),
                }
                Some(())
            }
            Token::Escape => {
                self.token = match byte {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Token::Text,
                    b'u' => Token::Unicode(4),
                    _ => return None,
                };
                // A key with an escape in it is none that is looked for.
                self.note(0);
                Some(())
            }
            Token::Unicode(left) => {
                self.token = if left == 1 { Token::Text } else { Token::Unicode(left - 1) };
                byte.is_ascii_hexdigit().then_some(())
            }
            Token::Word(left) => {
                let (first, rest) = left.split_first()?;
                self.token = if rest.is_empty() { Token::None } else { Token::Word(rest) };
                if rest.is_empty() {
                    self.value_ends();
                }
                (byte == *first).then_some(())
            }
            Token::Number(at) => match at.then(byte) {
                Some(next) => {
                    self.token = Token::Number(next);
                    Some(())
                }
                None if at.may_end() => {
                    self.token = Token::None;
                    self.value_ends();
                    self.between(byte)
                }
                None => None,
            },
        }
    }

    fn between(&mut self, byte: u8) -> Option<()> {
        use Expects::{Colon, CommaOrEnd, Key, KeyOrEnd, Nothing, Value, ValueOrEnd};
        match (self.expects, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (KeyOrEnd, b'}') | (ValueOrEnd, b']') | (CommaOrEnd, b'}' | b']') => self.close(byte)?,
            (CommaOrEnd, b',') => self.expects = if self.open.last() == Some(&b'{') { Key } else { Value },
            (KeyOrEnd | Key, b'"') => {
                self.key.clear();
                self.token = Token::Text;
            }
            (Colon, b':') => self.expects = Value,
            (Value | ValueOrEnd, _) => self.value(byte)?,
            (Nothing | Colon | CommaOrEnd | Key | KeyOrEnd, _) => return None,
        }
        Some(())
    }

    fn value(&mut self, byte: u8) -> Option<()> {
        if self.counts && self.open.len() == 2 {
            self.messages = self.messages.map(|count| count + 1);
        }
        match byte {
            b'"' => {
                self.token = Token::Text;
                self.expects = Expects::Value;
            }
            b't' => self.token = Token::Word(b"rue"),
            b'f' => self.token = Token::Word(b"alse"),
            b'n' => self.token = Token::Word(b"ull"),
            b'{' | b'[' => {
                if self.open.len() >= DEEPEST {
                    return None;
                }
                if byte == b'[' && self.open == [b'{'] && self.key == b"messages" {
                    self.counts = true;
                    self.messages = Some(0);
                }
                self.open.push(byte);
                self.expects = if byte == b'{' { Expects::KeyOrEnd } else { Expects::ValueOrEnd };
            }
            _ => self.token = Token::Number(Number::first(byte)?),
        }
        Some(())
    }

    fn close(&mut self, byte: u8) -> Option<()> {
        let opened = self.open.pop()?;
        if self.open.len() == 1 {
            self.counts = false;
        }
        self.value_ends();
        (opened == if byte == b'}' { b'{' } else { b'[' }).then_some(())
    }

    fn value_ends(&mut self) {
        self.expects = if self.open.is_empty() { Expects::Nothing } else { Expects::CommaOrEnd };
    }

    fn text_ends(&mut self) {
        self.token = Token::None;
        match self.expects {
            Expects::Key | Expects::KeyOrEnd => self.expects = Expects::Colon,
            _ => self.value_ends(),
        }
    }

    /// Remembers the beginning of the outer object's keys.
    fn note(&mut self, byte: u8) {
        let is_key = matches!(self.expects, Expects::Key | Expects::KeyOrEnd) && self.open.len() == 1;
        if is_key && self.key.len() <= b"messages".len() {
            self.key.push(byte);
        }
    }
}

impl Number {
    fn first(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Whole),
            _ => None,
        }
    }

    fn then(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, b'0') => Some(Self::Zero),
            (Self::Minus, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Some(Self::E),
            (Self::E, b'+' | b'-') => Some(Self::Sign),
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Some(Self::Exponent),
            _ => None,
        }
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], step: usize) -> Option<Json> {
        let mut json = Json::default();
        text.chunks(step).try_for_each(|piece| json.take(piece)).and_then(|()| json.end()).ok().map(|()| json)
    }

    #[test]
    fn messages_are_those_of_the_outer_object() {
        for (text, messages) in [
            (r#"{"messages":[]}"#, Some(0)),
            (r#"{"uuid":"x","messages":[{"messages":[1,2]},"a",[],3,null]}"#, Some(5)),
            (r#"{"x":{"messages":[1]}}"#, None),
            (r#"{"messages":{"messages":[1]}}"#, None),
            (r#"[{"messages":[1]}]"#, None),
            (r#"{"messagesX":[1]}"#, None),
        ] {
            assert_eq!(read(text.as_bytes(), 3).expect(text).messages(), messages, "{text}");
        }
    }

    fn is_json(text: &str) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::fuzz_cases()))]

        /// Scraps of JSON in any order get the verdict of a whole parser, however they are cut.
        #[test]
        fn fuzz_json(scraps in prop::collection::vec(prop_oneof![
            Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"\\u00e9\""),
            Just("true"), Just("nul"), Just("null"), Just("0"), Just("-1.5e+7"), Just("01"), Just("1."), Just(" "),
            Just("\"\\x\""), Just("\""), Just("\n"), Just("-"), Just("\"messages\":["), Just("{\"a\":1}"),
        ], 0..12), step in 1_usize..9) {
            let text = scraps.concat();
            prop_assert_eq!(read(text.as_bytes(), step).is_some(), is_json(&text), "{}", text);
        }

        #[test]
        fn fuzz_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1_usize..50) {
            prop_assert_eq!(read(&bytes, step).is_some(), read(&bytes, 1).is_some());
        }
    }
}
