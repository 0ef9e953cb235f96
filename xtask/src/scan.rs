//! Rust source cut into code, comments and literals, and the spans of its functions and test modules.
//!
//! It decides by tokens alone, so it also sees inside macros. It assumes source that compiles: on an unclosed literal
//! or brace a span reaches to the end of the file.

/// One source file in two layers of the same length and the same lines: what is not of a layer is blank there.
pub(crate) struct Source {
    /// Without comments and without what string and character literals hold.
    pub(crate) code: String,
    /// Comments only, with their markers.
    pub(crate) comments: String,
}

/// Something with a body in braces; lines count from 1 and both ends belong to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Span {
    pub(crate) fn lines(&self) -> usize {
        self.last - self.first + 1
    }
}

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut code = blank(bytes);
        let mut comments = code.clone();
        let mut at = 0;
        while at < bytes.len() {
            let (kind, end) = token(bytes, at);
            match kind {
                Kind::Code => code[at..end].copy_from_slice(&bytes[at..end]),
                Kind::Comment => comments[at..end].copy_from_slice(&bytes[at..end]),
                Kind::Literal => {}
            }
            at = end;
        }
        Self {
            code: String::from_utf8_lossy(&code).into_owned(),
            comments: String::from_utf8_lossy(&comments).into_owned(),
        }
    }

    /// Every function with a body, nested ones and methods too.
    pub(crate) fn functions(&self) -> Vec<Span> {
        let bytes = self.code.as_bytes();
        let mut spans = Vec::new();
        for (at, word) in words(&self.code) {
            if word != "fn" {
                continue;
            }
            let start = skip_space(bytes, at + 2);
            let named = bytes.get(start).is_some_and(|byte| is_word(*byte) || *byte == b'$');
            if !named {
                continue;
            }
            if let Some(open) = body(bytes, start) {
                spans.push(self.span(at, name_at(&self.code, start), open));
            }
        }
        spans
    }

    /// Every inline module called `tests`.
    pub(crate) fn test_modules(&self) -> Vec<Span> {
        let bytes = self.code.as_bytes();
        let mut spans = Vec::new();
        for (at, word) in words(&self.code) {
            if word != "mod" {
                continue;
            }
            let start = skip_space(bytes, at + 3);
            let name = name_at(&self.code, start);
            let open = skip_space(bytes, start + name.len());
            if name == "tests" && bytes.get(open) == Some(&b'{') {
                spans.push(self.span(at, name, open));
            }
        }
        spans
    }

    /// Lines on which a test is marked to be left out.
    pub(crate) fn ignored_tests(&self) -> Vec<usize> {
        let bytes = self.code.as_bytes();
        let mut lines = Vec::new();
        for (at, _) in self.code.match_indices('#') {
            let open = skip_space(bytes, at + 1);
            if bytes.get(open) != Some(&b'[') {
                continue;
            }
            let attribute = &self.code[open..=closing(bytes, open, b'[', b']')];
            let names: Vec<&str> = words(attribute).map(|(_, word)| word).collect();
            let leaves_out = match names.first() {
                Some(&"ignore") => true,
                Some(&"cfg_attr") => names.contains(&"ignore"),
                Some(_) | None => false,
            };
            if leaves_out {
                lines.push(line_of(&self.code, at));
            }
        }
        lines
    }

    fn span(&self, at: usize, name: &str, open: usize) -> Span {
        Span {
            name: name.to_owned(),
            first: line_of(&self.code, at),
            last: line_of(&self.code, closing(self.code.as_bytes(), open, b'{', b'}')),
        }
    }
}

/// Words (identifiers, keywords, numbers) with where they start.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_word(bytes[at]) {
            at += 1;
        }
        if at == bytes.len() {
            return None;
        }
        let start = at;
        while at < bytes.len() && is_word(bytes[at]) {
            at += 1;
        }
        Some((start, &text[start..at]))
    })
}

/// The line, from 1, that holds a byte.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

enum Kind {
    Code,
    Comment,
    Literal,
}

/// The kind and the end of what starts at `at`; code comes in pieces that may be as short as one byte.
fn token(bytes: &[u8], at: usize) -> (Kind, usize) {
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => {
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            (Kind::Comment, at + length)
        }
        b'/' if rest.starts_with(b"/*") => (Kind::Comment, block_comment_end(bytes, at)),
        b'"' => (Kind::Literal, quoted_end(bytes, at, b'"')),
        b'\'' if is_char_literal(rest) => (Kind::Literal, quoted_end(bytes, at, b'\'')),
        first if is_word(first) => {
            let end = at + rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
            let raw = matches!(&bytes[at..end], b"r" | b"br" | b"cr");
            match raw_string_end(bytes, end) {
                Some(end) if raw => (Kind::Literal, end),
                Some(_) | None => (Kind::Code, end),
            }
        }
        _ => (Kind::Code, at + 1),
    }
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn quoted_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of a raw string whose prefix letters end at `start`, if one is there.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start..].iter().take_while(|byte| **byte == b'#').count();
    let open = start + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'#'; hashes + 1];
    close[0] = b'"';
    let body = &bytes[open + 1..];
    let length = body.windows(close.len()).position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// Tells `'a'` from the lifetime `'a`: a literal holds an escape or exactly one character.
fn is_char_literal(rest: &[u8]) -> bool {
    let Some(first) = rest.get(1) else {
        return false;
    };
    let width = match first {
        b'\\' => return true,
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    rest.get(1 + width) == Some(&b'\'')
}

/// Where the body of a function opens, given where its name starts; none if it is only declared.
fn body(bytes: &[u8], name: usize) -> Option<usize> {
    let mut depth = 0_i32;
    let mut at = name;
    while at < bytes.len() {
        match bytes[at] {
            b'(' | b'[' | b'<' => depth += 1,
            b')' | b']' => depth -= 1,
            b'>' if !matches!(bytes[at - 1], b'-' | b'=') => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b'{' => at = closing(bytes, at, b'{', b'}'),
            b';' if depth == 0 => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

fn closing(bytes: &[u8], start: usize, open: u8, close: u8) -> usize {
    let mut depth = 0;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    bytes.len() - 1
}

fn name_at(code: &str, start: usize) -> &str {
    words(&code[start..]).next().map_or("", |(_, word)| word)
}

fn skip_space(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn blank(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }).collect()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
