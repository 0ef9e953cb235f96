//! Where nodes are in truth: what peers see of this one, and dials that try where peers say they listen.

use std::{collections::BTreeMap, time::Duration};

use bruit_core::{Endpoint, PeerId, Timestamp};
use rand::seq::IteratorRandom;

use super::{
    Exchange, Output,
    own::{OwnView, Trial, Verdict},
    peer::{Peer, Proof, is_same_host},
};
use crate::{Confirm, PeerAddr, message::whole_hours};

/// What came of a peer's wish to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialBack {
    /// It is dialled when it is its turn.
    Taken,
    /// It is not served.
    NotServed,
    /// It was dialled not long ago, or too many wait.
    TooMany,
    /// The address is not on the host that the peer is seen at, or not to be dialled at all.
    Elsewhere,
}

/// How long after it asked to be dialled a peer may ask again. 60 s: a guess.
pub(super) const DIAL_BACK_PAUSE: Duration = Duration::from_secs(60);

impl<P: Copy + Ord> Exchange<P> {
    /// Tells where this node listens.
    pub fn own_listens(&mut self, endpoints: Vec<Endpoint>) {
        self.own.listens(endpoints);
    }

    /// Tells who a peer is, where it says it listens, and where it says it sees this node.
    ///
    /// # Security
    /// All of it is a claim. An own address is believed when peers of three parts of the internet see the same, and one more
    /// has dialled it; where a peer listens is passed on only when it was reached there, and counts as unasked.
    pub fn hello_received(&mut self, peer: P, identity: Option<PeerId>, hello: PeerHello, now: Timestamp) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.identity = identity;
        state.claimed = hello.listens_at;
        let (group, is_dialled) = (state.group(), state.link.is_dialled);
        if let Some(observed) = &hello.sees_us_at
            && self.own.seen(peer, group, observed, is_dialled)
        {
            self.own_changed(now);
        }
        self.confirm(peer, now);
        self.review_own(now);
    }

    /// Tells that a connected peer has dialled this node once more: it was asked to, perhaps.
    pub fn connected_again(&mut self, peer: P, now: Timestamp) {
        if self.own.trial().is_some_and(|trial| trial.asked.last() == Some(&peer)) {
            self.end_trial(true, now);
            self.review_own(now);
        }
    }

    fn end_trial(&mut self, is_confirmed: bool, now: Timestamp) {
        match self.own.end_trial(is_confirmed, now) {
            Verdict::Adopted(endpoint) => {
                self.outputs.push_back(Output::Adopted(endpoint));
                self.own_changed(now);
            }
            Verdict::Dropped(endpoint) => {
                self.outputs.push_back(Output::Dropped(endpoint));
                self.own_changed(now);
            }
            Verdict::Confirmed | Verdict::GivenUp => {}
        }
    }

    /// Tells that a peer could not be asked to dial this node: that says nothing of the address, and another one is asked later.
    pub fn dial_back_put_off(&mut self, peer: P) {
        self.own.put_off(peer);
    }

    /// Tells that a peer wants to be dialled.
    ///
    /// # Security
    /// Only on the host that it is seen at: nobody makes this node dial a third one.
    pub fn dial_back_asked(&mut self, peer: P, endpoint: Endpoint, now: Timestamp) -> DialBack {
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.is_admitted) else {
            return DialBack::NotServed;
        };
        if !is_same_host(&endpoint, &state.link.seen_at) || !self.config.may_try(&endpoint) {
            return DialBack::Elsewhere;
        }
        if state.dialled_back.is_some_and(|at| now.since(at) < DIAL_BACK_PAUSE) {
            return DialBack::TooMany;
        }
        if !self.probes.want(peer, endpoint, self.config.settings()) {
            return DialBack::TooMany;
        }
        state.dialled_back = Some(now);
        DialBack::Taken
    }

    /// Tells how a [`Probe`](Output::Probe) ended.
    pub fn probe_ended(&mut self, peer: P, endpoint: &Endpoint, is_reached: bool, now: Timestamp) {
        if !self.probes.end(peer, endpoint) {
            return;
        }
        let endpoint = endpoint.clone();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if !is_reached {
            state.proof.fail(now);
            self.outputs.push_back(Output::Unconfirmed { peer, endpoint });
            return;
        }
        state.proof = Proof::NotWanted;
        let is_told = !state.is_hidden && !state.link.is_dialled && state.unasked.take(1, now);
        let addr = PeerAddr::new(state.identity, vec![endpoint.clone()], Some(whole_hours(now)));
        self.outputs.push_back(Output::Confirmed { peer, endpoint });
        if is_told {
            self.relay(peer, vec![addr], now);
        }
    }

    /// Tells that a [`Probe`](Output::Probe) found somebody else than the peer that says it listens there.
    ///
    /// # Security
    /// Who claims another one's endpoint was not found there, but the endpoint is as good as before: nothing counts against it
    /// or against whom it belongs to.
    pub fn probe_met(&mut self, peer: P, endpoint: &Endpoint, found: PeerId, now: Timestamp) {
        if !self.probes.end(peer, endpoint) {
            return;
        }
        if let Some(state) = self.peers.get_mut(&peer) {
            state.proof.fail(now);
        }
        self.outputs.push_back(Output::OtherFound { endpoint: endpoint.clone(), found });
    }

    /// Own endpoints that peers see, and who they are.
    pub fn own_views(&self) -> Vec<OwnView<P>> {
        self.own.views()
    }

    /// Puts a peer that came in line for a dial to where it says it listens.
    pub(super) fn confirm(&mut self, peer: P, now: Timestamp) {
        let settings = self.config.settings();
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if !state.is_admitted || state.link.is_dialled || state.identity.is_none() || settings.confirm == Confirm::Off {
            return;
        }
        let endpoint = state.to_confirm(&self.config);
        if let Confirm::Require { within_secs } = settings.confirm
            && !state.is_hidden
            && state.proof == Proof::NotWanted
        {
            // Who names no place where it could be looked for has its time from now on.
            let due = Proof::Due(now.after(Duration::from_secs(within_secs)));
            state.proof = if endpoint.is_some() { Proof::Awaited } else { due };
        }
        if let Some(endpoint) = endpoint {
            self.probes.confirm(peer, endpoint);
        }
    }

    /// A peer is being looked for where it says it listens.
    fn probe_begun(&mut self, peer: P, now: Timestamp) {
        let Confirm::Require { within_secs } = self.config.settings().confirm else { return };
        if let Some(state) = self.peers.get_mut(&peer).filter(|state| state.proof == Proof::Awaited) {
            state.proof = Proof::Due(now.after(Duration::from_secs(within_secs)));
        }
    }

    /// Tries own addresses anew that are believed and not seen any more.
    ///
    /// # Security
    /// A lie that was believed once, because whoever was asked to dial lied too, is told no longer than until others are asked. An
    /// address that is right and only seen by nobody stays, unless all who are asked fail to reach it.
    fn doubt_own(&mut self, now: Timestamp) {
        let may_ask = |endpoint: &Endpoint| helpers(&self.peers, endpoint).next().is_some();
        if let Some(endpoint) = self.own.doubted(self.config.settings().own_witnesses_min, may_ask, now) {
            self.try_own(endpoint, Vec::new(), now);
        }
    }

    /// Looks whether peers agree on an own address that is not known yet, and begins to try it.
    pub(super) fn review_own(&mut self, now: Timestamp) {
        // What is believed comes first: else those who always name something new would keep it from being doubted.
        self.doubt_own(now);
        let witnesses_min = self.config.settings().own_witnesses_min;
        if self.own.trial().is_some() || self.own.has_doubts(now) {
            return;
        }
        let is_others = |endpoint: &Endpoint| {
            self.peers.values().any(|state| state.link.is_dialled && state.link.seen_at == *endpoint)
        };
        let Some(endpoint) = self.own.agreed(witnesses_min, self.config.policy(), is_others, now) else { return };
        for dropped in self.own.drop_changed(&endpoint, witnesses_min) {
            self.outputs.push_back(Output::Dropped(dropped));
            self.own_changed(now);
        }
        self.try_own(endpoint, Vec::new(), now);
    }

    /// Asks one more peer to dial an own address, rather one that does not see it itself.
    fn try_own(&mut self, endpoint: Endpoint, mut asked: Vec<P>, now: Timestamp) {
        let settings = self.config.settings();
        let witnesses = self.own.witnesses(&endpoint);
        let others = || helpers(&self.peers, &endpoint).filter(|peer| !asked.contains(peer));
        let unconcerned = others().filter(|peer| !witnesses.contains(peer));
        let helper = unconcerned.choose(&mut self.rng).or_else(|| others().choose(&mut self.rng));
        let is_hopeless = u32::try_from(asked.len()).unwrap_or(u32::MAX) >= settings.own_trials_max;
        let until = now.after(Duration::from_secs(settings.probe_secs));
        match helper.filter(|_| !is_hopeless) {
            Some(helper) => {
                asked.push(helper);
                self.own.set_trial(Trial { endpoint: endpoint.clone(), until, asked });
                self.outputs.push_back(Output::AskDialBack { to: helper, endpoint });
            }
            None => {
                self.own.set_trial(Trial { endpoint, until, asked });
                self.end_trial(false, now);
            }
        }
    }

    /// Does what is due here: trials, dials that try, and peers that could not be dialled in time.
    pub(super) fn locating_due(&mut self, now: Timestamp) {
        if let Some(trial) = self.own.trial().filter(|trial| trial.until <= now).cloned() {
            self.try_own(trial.endpoint, trial.asked, now);
            self.review_own(now);
        }
        self.doubt_own(now);
        while let Some((peer, endpoint)) = self.probes.overdue(now) {
            self.probe_ended(peer, &endpoint, false, now);
        }
        while let Some((peer, endpoint)) = self.probes.begin(self.config.settings(), now) {
            self.probe_begun(peer, now);
            self.outputs.push_back(Output::Probe { peer, endpoint });
        }
        for (peer, state) in &mut self.peers {
            if state.proof.due_at().is_some_and(|at| at <= now) {
                state.proof = Proof::NotWanted;
                self.outputs.push_back(Output::Unreachable(*peer));
            }
        }
    }
}

/// Who may be asked to dial an own address.
///
/// # Security
/// What tells that it was dialled is a second connection, which a liar makes to wherever he likes. So nobody who only came is asked
/// while there is anybody whom this node chose to dial, though nobody of those could dial it.
fn helpers<P: Copy + Ord>(peers: &BTreeMap<P, Peer<P>>, endpoint: &Endpoint) -> impl Iterator<Item = P> {
    let served = || peers.iter().filter(|(_, state)| state.is_admitted);
    let has_chosen = served().any(|(_, state)| state.link.is_dialled);
    let asked = served().filter(move |(_, state)| state.link.is_dialled || !has_chosen);
    asked.filter(|(_, state)| state.may_dial_back(endpoint)).map(|(peer, _)| *peer)
}

/// What a hello says about places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerHello {
    /// Where the peer says it listens.
    pub listens_at: Vec<Endpoint>,
    /// Where the peer says it sees this node.
    pub sees_us_at: Option<Endpoint>,
}
