/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A number is 0.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// More peers than one message holds.
    #[error("{0} must be at most 2500, as many as one message names")]
    TooMany(&'static str),
    /// More neighbours than one message holds.
    #[error("neighbours_max is {0}, more than the 128 that one message names")]
    TooManyNeighbours(usize),
    /// More than everything.
    #[error("answer_percent is {0}, more than 100")]
    BadPercent(usize),
    /// The rate is negative or no number.
    #[error("unasked_per_second must be a number, 0 or more")]
    BadRate,
    /// The longest pause is shorter than the first.
    #[error("ask_small_secs_max must be at least ask_small_secs")]
    PausesCrossed,
    /// The longest answer is shorter than the shortest.
    #[error("addrs_per_answer_max must be at least addrs_per_answer_min")]
    AnswersCrossed,
}
