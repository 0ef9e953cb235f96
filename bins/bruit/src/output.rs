use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::json;

use crate::{exit::Failure, table::Table};

/// Where results go: JSON for programs, or text for people.
#[derive(Debug)]
pub(crate) struct Output {
    is_json: bool,
}

impl Output {
    pub(crate) const fn new(is_json: bool) -> Self {
        Self { is_json }
    }

    pub(crate) const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Gives out a result: as one line of JSON, or as what `text` makes of it.
    pub(crate) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        if self.is_json {
            self.line(
                &serde_json::to_string(value).unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string()),
            );
        } else {
            self.line(harmless(&text(value)).trim_end());
        }
    }

    pub(crate) fn table<T: Serialize>(&self, value: &T, table: impl FnOnce(&T) -> Table) {
        self.result(value, |value| table(value).to_string());
    }

    /// Gives out a line at once. Nobody reading any more is no fault of this program.
    pub(crate) fn line(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    }

    /// Tells people something beside the result.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "bruit: {}", harmless(text));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json {
            self.line(&json!({ "error": failure.text, "code": failure.code }).to_string());
        }
        let _ = writeln!(io::stderr().lock(), "bruit: {}", harmless(&failure.text).trim_end());
    }
}

/// What a terminal shows as it is: characters that move, hide or reorder text stand as escapes.
///
/// # Security
/// Names, reasons and texts come from strangers, who would otherwise write anything anywhere on an operator's screen.
fn harmless(text: &str) -> String {
    let is_order = |c: char| match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        _ => c.is_control(),
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_order(c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_what_strangers_write_gives_no_orders_to_a_terminal() {
        let hostile = "a\x1b[2J\x1b]0;b\x07\r\0\u{85}\u{9b}1m\u{202e}\u{2028}\u{feff}\u{200f}";
        let shown = harmless(hostile);
        assert_eq!(shown, "a\\u{1b}[2J\\u{1b}]0;b\\u{7}\\r\\0\\u{85}\\u{9b}1m\\u{202e}\\u{2028}\\u{feff}\\u{200f}");
        let fine = "two lines\n\tof \"text\" that's fine: äöü 漢字 \\ 👍";
        assert_eq!(harmless(fine), fine);
    }
}
