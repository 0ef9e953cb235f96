use std::{
    fmt,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use bruit_core::Timestamp;

use crate::{Frame, Node, START, net::Happening};

/// Writes what happens to nodes, as it happens, a line each: the time in seconds since the start, the node, what happened, and for
/// a frame who sent it, its kind, its bytes and what it says.
#[derive(Clone)]
pub struct TraceLines {
    node: Option<u32>,
    text: Option<String>,
    out: Arc<Mutex<dyn Write + Send>>,
}

impl TraceLines {
    /// Writes all lines.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self { node: None, text: None, out: Arc::new(Mutex::new(out)) }
    }

    /// Only lines of this node, as sender or receiver.
    #[must_use]
    pub fn of_node(self, node: u32) -> Self {
        Self { node: Some(node), ..self }
    }

    /// Only lines that hold this text: the id of an item or the beginning of it, a kind of frame.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    pub(crate) fn begin(&self, run: u32, seed: u64) {
        self.write(&format!("run {run}, seed {seed}"));
    }

    /// Lets nothing stay in a buffer.
    pub(crate) fn end(&self) {
        let _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }

    pub(crate) fn happens<N: Node>(&self, at: Timestamp, to: u32, happening: &Happening<N>) {
        match happening {
            Happening::Arrival { from, message, .. } => self.frame(at, *from, to, "<-", message),
            Happening::Call { .. } => self.line(at, to, None, format_args!("called")),
            Happening::Timeout => self.line(at, to, None, format_args!("time-out")),
            Happening::LinkLost { port } => self.line(at, to, None, format_args!("link {} lost", port.0)),
            Happening::LinkFound { port } => self.line(at, to, None, format_args!("link {} found", port.0)),
        }
    }

    /// A frame that does not arrive.
    pub(crate) fn lost(&self, at: Timestamp, from: u32, to: u32, message: &impl Frame) {
        self.frame(at, from, to, "x-", message);
    }

    fn frame(&self, at: Timestamp, from: u32, to: u32, arrow: &str, message: &impl Frame) {
        if self.node.is_some_and(|node| node != from && node != to) {
            return;
        }
        let mut said = String::new();
        message.tell(&mut said);
        let (kind, bytes) = (message.kind(), message.encoded_len());
        self.line(at, to, Some(from), format_args!("{arrow} {from:>7}  {kind:<8} {bytes:>7} B  {said}"));
    }

    fn line(&self, at: Timestamp, node: u32, other: Option<u32>, what: fmt::Arguments<'_>) {
        if self.node.is_some_and(|looked_for| looked_for != node && Some(looked_for) != other) {
            return;
        }
        let secs = at.since(START).as_secs_f64();
        let line = format!("{secs:>14.6}  {node:>7}  {what}");
        if self.text.as_ref().is_none_or(|text| line.contains(text)) {
            self.write(line.trim_end());
        }
    }

    fn write(&self, line: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever reads may have gone away; the run goes on.
        let _ = writeln!(out, "{line}");
    }
}

impl fmt::Debug for TraceLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceLines").field("node", &self.node).field("text", &self.text).finish_non_exhaustive()
    }
}
