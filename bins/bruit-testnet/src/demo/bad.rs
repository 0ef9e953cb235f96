//! Bad nodes: the same processes as all others, whose application serves objects wrongly.
//!
//! Such a node is told to leave `object` to its application, and the launcher is that application, over the API that is
//! there for every program: `silent` ones never answer, `false` ones answer at once and never truly.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bruit::{
    ManifestId, OBJECT,
    admin::{
        Client,
        message::{AnswerRequest, ServeLine, ServeRequest, hex, unhex},
    },
    chunk_answer, read_object_arguments,
};
use bruit_core::Seed;
use bytes::Bytes;
use rand::seq::IteratorRandom;
use tokio::task::JoinSet;

use crate::{args::Settings, failure::Failure, network::Network};

/// More than is ever asked of a node here at a time.
const AT_ONCE: usize = 1_024;

/// The applications of the bad nodes; dropping it ends them.
#[derive(Default)]
pub(super) struct BadApplications {
    serving: JoinSet<()>,
    asked: Arc<AtomicU64>,
    false_answers: Arc<AtomicU64>,
}

/// Chooses the bad nodes among those that need not be good: every other of them is silent, the rest false.
///
/// # Errors
/// Too few nodes need not be good.
pub(super) fn choose(settings: &Settings, share: f64, needed: &BTreeSet<usize>) -> Result<BTreeSet<usize>, Failure> {
    if !(0.0..=0.5).contains(&share) {
        let text = format!("--bad-share is 0 to 0.5, not {share}: half of the nodes hold what is fetched");
        return Err(Failure::configuration(text));
    }
    let count = (settings.nodes as f64 * share) as usize;
    let can_be: Vec<usize> = (0..settings.nodes).filter(|node| !needed.contains(node)).collect();
    if can_be.len() < count {
        let (nodes, most) = (settings.nodes, can_be.len());
        return Err(Failure::configuration(format!("of {nodes} nodes {most} may be bad at most, not {count}")));
    }
    Ok(can_be.into_iter().sample(&mut Seed::from_number(1).rng(), count).into_iter().collect())
}

impl BadApplications {
    /// Begins to serve, for each bad node.
    ///
    /// # Errors
    /// A node does not let it.
    pub(super) async fn start(&mut self, network: &Network) -> Result<(), Failure> {
        for (index, node) in network.settings().bad.iter().enumerate() {
            let client = network.node(*node).client();
            let request = ServeRequest {
                method: OBJECT.to_owned(),
                request_bytes_max: None,
                answer_bytes_max: None,
                timeout_ms: None,
                idempotent: true,
                at_once: AT_ONCE,
            };
            let lines = client.serve(&request).await;
            let mut lines =
                lines.map_err(|error| Failure::claim(format!("node {}, asked to serve: {error}", node + 1)))?;
            let (asked, false_answers) = (self.asked.clone(), self.false_answers.clone());
            let is_silent = index % 2 == 0;
            self.serving.spawn(async move {
                let mut session = 0;
                // It ends with its node.
                while let Ok(Some(line)) = lines.next().await {
                    match line {
                        ServeLine::Serving { session: id, .. } => session = id,
                        ServeLine::Request { number, payload_hex, .. } => {
                            asked.fetch_add(1, Ordering::Relaxed);
                            if !is_silent && answer_falsely(&client, session, number, &payload_hex).await {
                                false_answers.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        ServeLine::Cancelled { .. } => {}
                    }
                }
            });
        }
        Ok(())
    }

    /// How often bad nodes were asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many false answers they gave.
    pub(super) fn false_answers(&self) -> u64 {
        self.false_answers.load(Ordering::Relaxed)
    }
}

async fn answer_falsely(client: &Client, session: u64, number: u64, request_hex: &str) -> bool {
    let answer = lie(number, &unhex(request_hex).unwrap_or_default());
    let answer = AnswerRequest { session, number, payload_hex: hex(&answer), declined: None, more: false };
    let done = client.answer(&answer).await;
    done.is_ok_and(|done| done.done)
}

/// A false answer: the chunk that was asked for with other bytes in it, nothing at all, or no object.
fn lie(number: u64, request: &[u8]) -> Bytes {
    let chunk: Option<(ManifestId, u32)> =
        read_object_arguments(request).and_then(|(manifest, index)| Some((manifest, index?)));
    match (number % 3, chunk) {
        (0 | 1, Some((manifest, index))) => {
            chunk_answer(manifest, (index, index + 1), Bytes::from(vec![number as u8; 32 * 1024]))
        }
        (0, None) | (2, _) => Bytes::new(),
        (_, _) => Bytes::from_static(b"this is no object"),
    }
}

#[cfg(test)]
mod tests {
    use bruit::object_arguments;

    use super::*;

    fn settings(nodes: usize) -> Settings {
        let args = crate::args::tests::network(&["--nodes", &nodes.to_string()]);
        args.settings().expect("this can be built")
    }

    #[test]
    fn those_that_are_needed_are_good() {
        let needed = BTreeSet::from([0, 1, 14, 15]);
        let bad = choose(&settings(16), 0.4, &needed).expect("there are enough");
        assert_eq!(bad.len(), 6);
        assert!(bad.is_disjoint(&needed));
        assert_eq!(choose(&settings(16), 0.0, &needed).expect("nobody is bad"), BTreeSet::new());
        for (nodes, share) in [(16, 0.51), (16, -0.1), (16, f64::NAN), (4, 0.5)] {
            let needed = BTreeSet::from([0, 1, nodes - 1, nodes - 2]);
            assert_eq!(choose(&settings(nodes), share, &needed).expect_err("too many").code, 2);
        }
    }

    #[test]
    fn no_lie_is_what_was_asked_for() {
        let manifest = "01".repeat(32).parse().expect("this is an id");
        let request = object_arguments(manifest, Some(3));
        let lies: Vec<Bytes> = (0..3).map(|number| lie(number, &request)).collect();
        assert!(lies[0].len() > 32 * 1024 && lies[0] != lies[1] && lies[2].is_empty());
        assert!(lie(0, b"").is_empty() && lie(1, b"") == "this is no object");
    }
}
