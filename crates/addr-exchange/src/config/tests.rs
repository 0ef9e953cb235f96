use super::*;

#[test]
fn settings_are_checked_at_their_limits() {
    let check = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        config.validate().map(|_| ())
    };
    assert_eq!(check(|_| {}), Ok(()));
    assert_eq!(check(|c| c.addrs_per_answer_max = 2_499), Ok(()));
    assert_eq!(check(|c| c.addrs_per_answer_max = 2_500), Ok(()));
    assert_eq!(check(|c| c.addrs_per_answer_max = 2_501), Err(ConfigError::TooMany("addrs_per_answer_max")));
    assert_eq!(check(|c| c.addrs_taken_max = 0), Err(ConfigError::Zero("addrs_taken_max")));
    assert_eq!(check(|c| c.push_taken_max = 2_500), Ok(()));
    assert_eq!(check(|c| c.push_taken_max = 2_501), Err(ConfigError::TooMany("push_taken_max")));
    assert_eq!(check(|c| c.ask_again_secs = Some(0)), Err(ConfigError::Zero("ask_again_secs")));
    assert_eq!(check(|c| c.unasked_per_second = f64::NAN), Err(ConfigError::BadRate));
    assert_eq!(check(|c| c.unasked_per_second = 0.0), Ok(()));
    assert_eq!(check(|c| c.ask_small_secs_max = 1), Err(ConfigError::PausesCrossed));
    assert_eq!(check(|c| c.answer_percent = 100), Ok(()));
    assert_eq!(check(|c| c.answer_percent = 101), Err(ConfigError::BadPercent(101)));
    assert_eq!(check(|c| c.neighbours_max = 128), Ok(()));
    assert_eq!(check(|c| c.neighbours_max = 129), Err(ConfigError::TooManyNeighbours(129)));
    assert_eq!(check(|c| c.addrs_per_answer_min = 1_001), Err(ConfigError::AnswersCrossed));
    assert_eq!(check(|c| c.confirm = Confirm::Require { within_secs: 0 }), Err(ConfigError::Zero("confirm")));
    assert_eq!(check(|c| c.own_announce = OwnAnnounce::EverySecs(0)), Err(ConfigError::Zero("own_announce")));
}

#[test]
fn a_request_may_take_so_many_seconds() {
    let timeout = |timeout_secs| Config { timeout_secs, ..Config::default() }.validate().map(|valid| valid.timeout());
    assert_eq!(timeout(0), Err(ConfigError::Zero("timeout_secs")));
    assert_eq!([9, 10, 11].map(timeout), [9, 10, 11].map(|secs| Ok(Duration::from_secs(secs))));
}
