//! How a node hears of others and tells of them.

use bruit_addr_exchange::{AnswersPerConnection, Config};

use super::Profile;

pub(super) fn set(profile: Profile, exchange: &mut Config) {
    match profile {
        // The defaults are those of Bitcoin Core.
        Profile::Bruit => {}
        Profile::Factom => {
            exchange.addrs_per_answer_max = 128;
            exchange.answers_per_connection = AnswersPerConnection::EverySecs(180);
            exchange.answer_dialled = true;
            exchange.ask_again_secs = Some(180);
        }
        Profile::Casper => {
            exchange.answers_per_connection = AnswersPerConnection::EverySecs(120);
            exchange.answer_dialled = true;
        }
        Profile::Horizen => exchange.addrs_per_answer_max = 2_500,
        Profile::Ironfish => {
            exchange.answers_per_connection = AnswersPerConnection::EverySecs(60);
            exchange.answer_dialled = true;
            exchange.ask_again_secs = Some(60);
        }
    }
}
