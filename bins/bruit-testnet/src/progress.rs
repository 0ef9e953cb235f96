//! What a person sees while it runs: bars on a terminal, plain lines elsewhere; always on stderr.

use std::{
    cell::RefCell,
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

const BAR: &str = "{spinner} {prefix:<24} [{bar:24}] {pos:>3}/{len:<3} {elapsed:>4} {wide_msg}";
const DONE: &str = "  {prefix:<24} {msg}";

/// The progress of one step.
pub(crate) struct Progress {
    title: String,
    bar: ProgressBar,
    last: RefCell<String>,
}

impl Progress {
    /// Begins a step.
    pub(crate) fn begin(title: String) -> Self {
        let bar = if stderr().is_terminal() { ProgressBar::new(1) } else { ProgressBar::hidden() };
        bar.set_style(style(BAR));
        bar.set_prefix(title.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        if bar.is_hidden() {
            say(&format!("{title} ..."));
        }
        Self { title, bar, last: RefCell::default() }
    }

    /// No step at all.
    pub(crate) fn hidden() -> Self {
        Self { title: String::new(), bar: ProgressBar::hidden(), last: RefCell::default() }
    }

    /// Says how far it is, and what is being waited for.
    pub(crate) fn set(&self, done: usize, all: usize, waiting_for: impl Into<String>) {
        let text = waiting_for.into();
        self.bar.set_length(all as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(text.clone());
        self.last.replace(text);
    }

    /// What was waited for last.
    pub(crate) fn waiting_for(&self) -> String {
        self.last.borrow().clone()
    }

    /// Ends the step with what came of it.
    pub(crate) fn end(&self, text: &str) {
        if self.bar.is_hidden() {
            say(&format!("{} {text}", self.title));
        } else {
            self.bar.set_style(style(DONE));
            self.bar.finish_with_message(text.to_owned());
        }
    }
}

/// Writes a line for a person. A stderr that is gone is no reason to stop.
pub(crate) fn say(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ")
}
