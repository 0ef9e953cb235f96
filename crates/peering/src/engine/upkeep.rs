//! What a node does from time to time while all is well, and what the operator changes while it runs.

use std::time::Duration;

use bruit_core::{Endpoint, PeerId, Timestamp};
use rand::{RngExt, seq::IteratorRandom};

use super::{Engine, State, dialling::Named, dialling::Purpose, seeding::Shortage};
use crate::{Config, ConfigError, DialOutcome, Event, Goodbye, GoodbyeReason, Mode, SeedStage, SlotClass, Standing};

/// One in so many outbound peers is remembered for the next start. 4: of Bitcoin Core's eight outbound peers that is as many as it
/// remembers.
const ANCHOR_ONE_IN: usize = 4;
/// So many are remembered at least. Bitcoin Core: 2.
const ANCHORS_MIN: usize = 2;
/// So many at most. 32: a guess, less than is dialled in one burst.
const ANCHORS_MAX: usize = 32;

/// When what is done again and again is due next.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    feeler_at: Option<Timestamp>,
    rotate_at: Option<Timestamp>,
}

impl<C: Copy + Ord> Engine<C> {
    /// Dials a peer that was outbound before the last stop, before anybody else: those that stayed are harder to arrange for
    /// an attacker than everything that a book holds.
    pub fn dial_anchor(&mut self, endpoint: Endpoint, peer: PeerId, now: Timestamp) -> DialOutcome {
        self.start_dial(Named::new(endpoint, Some(peer)), Purpose::Fill, Some(Standing::Reached), now)
    }

    /// The peers to dial first after a restart: those that this node dialled and that are connected longest, quiet ones first, as
    /// many as a quarter of the outbound peers that it wants, from 2 to 32.
    pub fn anchors(&self) -> Vec<(Endpoint, PeerId)> {
        let chosen = self.peers.keys().filter_map(|peer| {
            let class = self.class_of(peer).filter(|class| matches!(class, SlotClass::Outbound | SlotClass::Quiet))?;
            let (known, endpoint) = (self.peers.get(peer)?, self.dialled_endpoints(*peer).into_iter().next()?);
            Some((class != SlotClass::Quiet, known.since, *peer, endpoint))
        });
        let mut chosen: Vec<_> = chosen.collect();
        chosen.sort_unstable();
        let count = (self.config().outbound_target / ANCHOR_ONE_IN).clamp(ANCHORS_MIN, ANCHORS_MAX);
        chosen.into_iter().take(count).map(|(_, _, peer, endpoint)| (endpoint, peer)).collect()
    }

    /// Dials only to see whether a peer is there; it takes no slot. As an answer to [`Event::FeelerWanted`], or when an address
    /// shall be confirmed.
    pub fn visit(
        &mut self,
        endpoint: Endpoint,
        peer: Option<PeerId>,
        standing: Standing,
        now: Timestamp,
    ) -> DialOutcome {
        if self.dialling.under_way.len() >= self.config().dials_max {
            return DialOutcome::Enough;
        }
        self.start_dial(Named::new(endpoint, peer), Purpose::Visit, Some(standing), now)
    }

    /// Changes the settings while peers are connected: who may not stay is told goodbye. The sizes of the history and of the
    /// backoff's memory stay as they were at the start.
    ///
    /// # Errors
    /// The settings cannot work; nothing has changed.
    pub fn reconfigure(&mut self, config: Config, now: Timestamp) -> Result<(), ConfigError> {
        let (network, agent) = (self.valid.network.clone(), self.valid.agent.clone());
        self.valid = config.validate(network, &agent)?;
        self.budget.reconfigure(&self.valid.config, now);
        self.upkeep = Upkeep::default();
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            if !self.may_stay(&peer) {
                self.say_goodbye(peer, GoodbyeReason::Requested, now);
            }
        }
        let limits = [
            (SlotClass::Outbound, self.config().outbound_max()),
            (SlotClass::Quiet, self.config().quiet_target),
            (SlotClass::Inbound, self.config().inbound_max),
        ];
        for (class, max) in limits {
            while self.held(class) > max {
                let of_class = self.peers.iter().filter(|(_, known)| known.state == State::Held(class));
                let Some(youngest) = of_class.max_by_key(|(_, known)| known.since).map(|(peer, _)| *peer) else {
                    break;
                };
                self.part(youngest, Goodbye::because(GoodbyeReason::Full), now);
            }
        }
        self.dialling.look_soon(&self.valid.config, now);
        self.look_for_peers(now);
        Ok(())
    }

    fn may_stay(&self, peer: &PeerId) -> bool {
        let Some((_, origin)) = self.peers.get(peer).and_then(|known| known.connections.first()) else { return true };
        let class = self.class_of(peer);
        let is_manual = class == Some(SlotClass::Manual);
        let is_forbidden = match self.config().mode {
            Mode::Open => false,
            Mode::Exclusive => matches!(class, Some(SlotClass::Outbound | SlotClass::Quiet)),
            Mode::ExclusiveIn => true,
        };
        is_manual || (!is_forbidden && self.is_admitted(Some(peer), origin.endpoint().ip()))
    }

    pub(super) fn next_upkeep(&self) -> Option<Timestamp> {
        let config = self.config();
        let of = |interval: Duration, at: Option<Timestamp>| (!interval.is_zero()).then(|| at.unwrap_or_default());
        let feeler = of(config.feeler_interval, self.upkeep.feeler_at);
        let rotation = of(config.rotation_interval, self.upkeep.rotate_at);
        let seeds = self.seeding.next(self.shortage(), config);
        [feeler, rotation, seeds].into_iter().flatten().min()
    }

    pub(super) fn keep_up(&mut self, now: Timestamp) {
        let config = &self.valid.config;
        let (feeler, rotation) = (config.feeler_interval, config.rotation_interval);
        let is_full = self.held(SlotClass::Outbound) >= config.outbound_target && config.outbound_target > 0;
        if !feeler.is_zero() && self.upkeep.feeler_at.is_none_or(|at| at <= now) {
            let is_begun = self.upkeep.feeler_at.is_some();
            self.upkeep.feeler_at = Some(now.after(feeler.mul_f64(self.rng.random_range(0.75..1.25))));
            if is_begun && is_full && config.mode == Mode::Open {
                self.tell(Event::FeelerWanted);
            }
        }
        if !rotation.is_zero() && self.upkeep.rotate_at.is_none_or(|at| at <= now) {
            let is_begun = self.upkeep.rotate_at.is_some();
            self.upkeep.rotate_at = Some(now.after(rotation.mul_f64(self.rng.random_range(0.75..1.25))));
            if is_begun && is_full {
                self.rotate(now);
            }
        }
        let shortage = self.shortage();
        let stages = self.seeding.due(shortage, &self.valid.config, &mut self.rng, now);
        let is_wanted = |stage: &SeedStage| *stage != SeedStage::Fixed || self.has_reached_nobody();
        let stages: Vec<SeedStage> = stages.into_iter().filter(is_wanted).collect();
        stages.into_iter().for_each(|stage| self.tell(Event::SeedsWanted { stage }));
    }

    fn rotate(&mut self, now: Timestamp) {
        let (drops, away) = (self.config().rotation_drops, self.config().stay_away);
        let outbound = self.peers.iter().filter(|(_, known)| known.state == State::Held(SlotClass::Outbound));
        let chosen: Vec<PeerId> = outbound.map(|(peer, _)| *peer).sample(&mut self.rng, drops);
        for peer in chosen {
            self.stay_away_from(peer, away, now);
            self.part(peer, Goodbye::because(GoodbyeReason::Rotated), now);
        }
    }

    /// Whoever dialled this node does not count, or a stranger could keep the last source away.
    fn has_reached_nobody(&self) -> bool {
        [SlotClass::Outbound, SlotClass::Quiet, SlotClass::Manual].into_iter().all(|class| self.held(class) == 0)
    }

    fn shortage(&self) -> Shortage {
        let config = self.config();
        let dialled = self.held(SlotClass::Outbound);
        if self.stopping || config.mode != Mode::Open || dialled >= config.outbound_target {
            Shortage::None
        } else if dialled < config.reseed_below.min(config.outbound_target) {
            Shortage::Few
        } else {
            Shortage::Some
        }
    }
}
