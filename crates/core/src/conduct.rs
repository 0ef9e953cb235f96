use std::time::Duration;

/// What one exchange said about a peer. Protocols report it; the address book turns it into quality.
///
/// # Security
/// A peer can earn good conduct cheaply and can be made to look slow by its network; so every part of quality that comes from
/// conduct is bounded and decays, and liveness alone ([`Conduct::TimedOut`]) never leads to a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conduct {
    /// It brought an accepted item before anybody else did.
    DeliveredFirst,
    /// It brought an item that was known.
    DeliveredDuplicate,
    /// It brought an item that the application rejected.
    DeliveredInvalid,
    /// It broke a rule of a protocol: a frame that does not decode, an id that does not match, a limit exceeded.
    BrokeProtocol,
    /// It answered a request in this time.
    Answered {
        /// From sending the request to having the answer.
        elapsed: Duration,
    },
    /// It said that it cannot satisfy a request; not punished.
    CouldNotSatisfy,
    /// Its answer was false: it failed the caller's check.
    AnsweredFalsely,
    /// What an item that it brought depends on could not be had, from it or from others, within the time for that. It may have
    /// been told a lie itself.
    WithheldDependency,
    /// It did not answer in time.
    TimedOut,
    /// It shared an address at which somebody could be reached.
    SharedLiveAddr,
    /// It shared an address at which nobody could be reached.
    SharedDeadAddr,
}
