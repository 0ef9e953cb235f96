//! How a node hears of others and tells of them.

use bruit_addr_exchange::{AnswerOrder, AnswersPerConnection, AskWhom, Config, Confirm, NeighboursFor, OwnAnnounce};

use super::Profile;

pub(super) fn set(profile: Profile, exchange: &mut Config) {
    match profile {
        // The defaults are those of Bitcoin Core.
        Profile::Bruit => {}
        Profile::Factom => factom(exchange),
        Profile::Casper => casper(exchange),
        Profile::Horizen => {
            exchange.addrs_per_answer_max = 2_500;
            exchange.addrs_taken_max = 2_500;
            without_two_hops(exchange);
        }
        Profile::Ironfish => ironfish(exchange),
    }
}

/// Every peer is asked every 180 s for the 128 best it knows, best first.
fn factom(exchange: &mut Config) {
    exchange.addrs_per_answer_min = 128;
    exchange.addrs_per_answer_max = 128;
    exchange.answer_percent = 100;
    exchange.answer_order = AnswerOrder::BestFirst;
    exchange.ask = AskWhom::Everybody;
    exchange.ask_again_secs = Some(180);
    exchange.answers_per_connection = AnswersPerConnection::EverySecs(120);
    exchange.answer_dialled = true;
    exchange.own_announce = OwnAnnounce::Never;
    exchange.confirm = Confirm::Off;
    without_two_hops(exchange);
}

/// Own addresses go round every 120 s, and whoever cannot be dialled back does not stay.
fn casper(exchange: &mut Config) {
    exchange.own_announce = OwnAnnounce::EverySecs(120);
    exchange.relay_again_secs = 60;
    // Every node hears every 120 s of every other, directly or by two.
    exchange.unasked_per_second = 5.0;
    exchange.unasked_start = 100;
    exchange.answers_per_connection = AnswersPerConnection::EverySecs(120);
    exchange.answer_dialled = true;
    exchange.confirm = Confirm::Require { within_secs: 60 };
    without_two_hops(exchange);
}

/// A newcomer asks nothing first: the bootstrap node pushes its list. Lists of peers and of their peers go round every 60 s.
fn ironfish(exchange: &mut Config) {
    exchange.push_peers_on_connect = true;
    exchange.push_taken_max = 1_000;
    exchange.answer_percent = 100;
    exchange.ask = AskWhom::Everybody;
    exchange.ask_first_secs = 60;
    exchange.ask_again_secs = Some(60);
    exchange.answers_per_connection = AnswersPerConnection::EverySecs(40);
    exchange.answer_dialled = true;
    exchange.neighbours_secs = Some(60);
    exchange.neighbours_for = NeighboursFor::Everybody;
    exchange.neighbours_max = 128;
}

fn without_two_hops(exchange: &mut Config) {
    exchange.neighbours_secs = None;
    exchange.neighbours_for = NeighboursFor::Nobody;
}
