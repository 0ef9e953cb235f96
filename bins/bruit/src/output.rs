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
            self.line(text(value).trim_end());
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

    pub(crate) fn failure(&self, failure: &Failure) {
        if self.is_json {
            self.line(&json!({ "error": failure.text, "code": failure.code }).to_string());
        }
        let _ = writeln!(io::stderr().lock(), "bruit: {}", failure.text.trim_end());
    }
}
