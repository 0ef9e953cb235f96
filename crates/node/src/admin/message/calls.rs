use bruit_core::PeerId;
use bruit_stack::rpc::{Refusal, RefusalKind};
use serde::{Deserialize, Serialize};

/// A call to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRequest {
    /// The method.
    pub method: String,
    /// The arguments in hexadecimal digits.
    #[serde(default)]
    pub payload_hex: String,
    /// The only peer to be asked; any if `None`.
    #[serde(default)]
    pub peer: Option<PeerId>,
    /// Who is asked first.
    #[serde(default)]
    pub pin: Option<PeerId>,
    /// How long one try waits.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How many peers are asked at most.
    #[serde(default)]
    pub tries: Option<u32>,
    /// How long the call may take in all.
    #[serde(default)]
    pub deadline_ms: Option<u64>,
    /// Who is not asked.
    #[serde(default)]
    pub exclude: Vec<PeerId>,
    /// Whether executing the request twice does no harm. Unless said, it does for every method that the node does not serve
    /// itself as harmless.
    #[serde(default)]
    pub idempotent: Option<bool>,
}

/// How a call ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOutcome {
    /// Whether it brought an answer.
    pub ok: bool,
    /// The method.
    pub method: String,
    /// Who answered.
    pub by: Option<PeerId>,
    /// How many peers were asked.
    pub tries: u32,
    /// From the call's start to its end.
    pub milliseconds: u64,
    /// How large the answer is.
    pub bytes: u64,
    /// The answer, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The answer in hexadecimal digits, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether any peer may have executed the request although there is no answer.
    pub may_have_executed: bool,
    /// Who was asked in vain; told when the call failed.
    pub asked: Vec<Asked>,
}

/// One line of an answer that comes in parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum PartLine {
    /// The next part.
    Part {
        /// Its bytes in hexadecimal digits.
        hex: String,
    },
    /// The end; without `ok` the parts before it are no answer. `bytes` counts all parts.
    End(Box<CallOutcome>),
}

/// A peer that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Who.
    pub peer: PeerId,
    /// Why it was in vain.
    pub outcome: String,
}

/// A method whose choice of peers is to be explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainRequest {
    /// The method.
    pub method: String,
}

/// Whom a call could ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The method.
    pub method: String,
    /// How many peers take part.
    pub connected: usize,
    /// Who of them serves the method, the likeliest first.
    pub candidates: Vec<PlanEntry>,
}

/// A peer that a call could ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// Who.
    pub peer: PeerId,
    /// The chance that it is asked first; all chances add up to 1.
    pub chance: f64,
    /// The share of its answers that were good.
    pub success: f64,
    /// Its answer time.
    pub latency_ms: f64,
    /// How many of our requests it has not answered yet.
    pub pending: usize,
    /// Its quality, 0 to 1.
    pub quality: f64,
}

/// A request for which no answer is awaited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRequest {
    /// The method.
    pub method: String,
    /// The arguments in hexadecimal digits.
    #[serde(default)]
    pub payload_hex: String,
    /// For whom.
    #[serde(default)]
    pub peers: Vec<PeerId>,
    /// For every connected peer that serves the method.
    #[serde(default)]
    pub all: bool,
}

/// For whom a request was queued. It leaves when the connection takes it; whether it was executed nobody says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The method.
    pub method: String,
    /// For whom.
    pub to: Vec<PeerId>,
    /// For whom not, and why.
    pub failed: Vec<Asked>,
}

/// A method that another process is going to answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServeRequest {
    /// Its name.
    pub method: String,
    /// The largest request in bytes; what a frame carries unless said.
    #[serde(default)]
    pub request_bytes_max: Option<usize>,
    /// The largest answer in bytes; what a frame carries unless said.
    #[serde(default)]
    pub answer_bytes_max: Option<usize>,
    /// How long a request is worked on at most; 10 s unless said.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Whether executing a request twice does no harm.
    #[serde(default)]
    pub idempotent: bool,
    /// How many requests are given out at a time; at least 1.
    pub at_once: usize,
}

/// One line about a method that another process answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ServeLine {
    /// Requests follow.
    Serving {
        /// The method.
        method: String,
        /// What answers name.
        session: u64,
    },
    /// A peer asks.
    Request {
        /// What its answer names.
        number: u64,
        /// Who asks.
        from: PeerId,
        /// The arguments in hexadecimal digits.
        payload_hex: String,
        /// For how long an answer is of use.
        time_left_ms: u64,
        /// Whether anybody waits for an answer; it is to be given in any case.
        wants_answer: bool,
        /// Whether it may come in parts.
        #[serde(default)]
        wants_stream: bool,
    },
    /// Nobody waits for this answer any more.
    Cancelled {
        /// The request.
        number: u64,
    },
}

/// The answer to a request, a part of it, or a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRequest {
    /// Where the request came from.
    pub session: u64,
    /// Which request.
    pub number: u64,
    /// The answer in hexadecimal digits.
    #[serde(default)]
    pub payload_hex: String,
    /// Why there is none.
    #[serde(default)]
    pub declined: Option<Declined>,
    /// Whether more follows, where it may come in parts. The node answers when the caller has room for more.
    #[serde(default)]
    pub more: bool,
}

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The kind of reason.
    pub why: Why,
    /// For a person.
    pub reason: String,
}

/// Why a request is not answered, as its caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// What is asked for is not here; somebody else may have it.
    CannotSatisfy,
    /// The arguments make no sense.
    BadRequest,
    /// There is too much to do.
    Overloaded,
    /// It failed, and may have been executed in part.
    Failed,
}

impl From<Declined> for Refusal {
    fn from(Declined { why, reason }: Declined) -> Self {
        let kind = match why {
            Why::CannotSatisfy => RefusalKind::CannotSatisfy,
            Why::BadRequest => RefusalKind::BadRequest,
            Why::Overloaded => RefusalKind::Overloaded,
            Why::Failed => RefusalKind::Failed,
        };
        Self::new(kind, reason)
    }
}
