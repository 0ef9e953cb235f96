use super::*;

const T: Timestamp = Timestamp::from_secs(10_000);

fn at(ip: [u8; 4], port: u16) -> Endpoint {
    Endpoint::tcp(ip.into(), port)
}

/// Each number is another teller.
const fn told(by: u16) -> Standing {
    Standing::Told(NetGroup::V4(by))
}

#[test]
fn fault_a_victim_whose_ports_are_all_advertised_is_dialled_three_times_an_hour() {
    let config = Config::default();
    let mut budget = Budget::new(&config);
    let mut dialled = |from: Timestamp| {
        let ask = |port| {
            (budget.ask(&at([8, 8, 8, 8], port), told(port), &config, from) == Allowance::Granted).then_some(port)
        };
        (1..=u16::MAX).filter_map(ask).collect::<Vec<_>>()
    };
    assert_eq!(dialled(T), [1_024, 1_025, 1_026]);
    assert_eq!(dialled(T.after(COUNTED_FOR - Duration::from_secs(1))), [0_u16; 0]);
    assert_eq!(dialled(T.after(COUNTED_FOR)).len(), 3);
}

#[test]
fn settings_that_are_read_again_let_nobody_be_dialled_in_vain_once_more() {
    let config = Config::default();
    let mut budget = Budget::new(&config);
    let granted = |budget: &mut Budget, config: &Config| {
        let ask = |by: &u16| budget.ask(&at([8, 8, 8, 8], 4_000), told(*by), config, T) == Allowance::Granted;
        (0..9).filter(ask).count()
    };
    assert_eq!(granted(&mut budget, &config), 3);
    budget.reconfigure(&config, T);
    assert_eq!(granted(&mut budget, &config), 0);
    assert_eq!(granted(&mut budget, &Config { dials_per_ip_per_hour: 5, ..config }), 2, "new limits hold at once");
}

#[test]
fn fault_names_do_not_lead_around_the_limits_of_an_address() {
    let config = Config { dials_burst: 10_000, ..Config::default() };
    let named = |name: String, port: u16| {
        let addr = format!("/dns4/{name}/tcp/{port}").parse().unwrap();
        Endpoint::from_multiaddr(&addr).unwrap().0
    };
    let mut budget = Budget::new(&config);
    let granted = |budget: &mut Budget, by, endpoint| budget.ask(&endpoint, told(by), &config, T) == Allowance::Granted;
    let granted_of = |budget: &mut Budget, port| {
        (0..1_000).filter(|by| granted(budget, *by, named(format!("a{by}.evil.example"), port))).count()
    };
    assert_eq!(granted_of(&mut budget, 22), 0);
    assert_eq!(granted_of(&mut budget, 4_000), config.dials_per_ip_per_hour);
    budget.reached(&named("a0.evil.example".into(), 4_000));
    assert_eq!(granted_of(&mut budget, 4_000), 1, "who was reached says nothing of the others");
    assert!(granted(&mut budget, 1, named("good.example".into(), 4_000)));
    let turned = (0..1_000).map(|number| named(format!("a{number}.turned.example"), 4_000));
    let dialled = turned.filter(|name| budget.ask(name, Standing::Reached, &config, T) == Allowance::Granted);
    assert_eq!(dialled.count(), 2, "who was reached by a name may let it lead to a victim now");
}

#[test]
fn fault_no_more_dials_begin_than_the_rate_allows() {
    let config = Config::default();
    let mut budget = Budget::new(&config);
    let mut granted = 0;
    for second in 0..60 {
        for number in 0..1_000_u16 {
            let [a, b] = number.to_be_bytes();
            let to = at([20 + a, b, second, 1], 4_000);
            let now = T.after(Duration::from_secs(second.into()));
            granted += u32::from(budget.ask(&to, told(1), &config, now) == Allowance::Granted);
        }
    }
    assert_eq!(granted, config.dials_burst + 59 * config.dials_per_second);
}

#[test]
fn fault_a_host_with_many_ipv6_addresses_is_dialled_as_one() {
    let config = Config { dials_burst: 100, ..Config::default() };
    let mut budget = Budget::new(&config);
    let granted = (1..=50_u16).filter(|last| {
        let ip = std::net::Ipv6Addr::new(0x2a00, 0x1450, 1, 2, 3, 4, 5, *last);
        budget.ask(&Endpoint::tcp(ip.into(), 4_000), told(*last), &config, T) == Allowance::Granted
    });
    assert_eq!(granted.count(), config.dials_per_ip_per_hour);
}

#[test]
fn what_was_reached_and_what_is_private_is_not_limited_by_address() {
    let config = Config { dials_burst: 100, ..Config::default() };
    let mut budget = Budget::new(&config);
    for _ in 0..10 {
        assert_eq!(budget.ask(&at([8, 8, 8, 8], 4_000), told(1), &config, T), Allowance::Granted);
        budget.reached(&at([8, 8, 8, 8], 4_000));
        assert_eq!(budget.ask(&at([127, 0, 0, 1], 80), told(1), &config, T), Allowance::Granted);
    }
}

#[test]
fn fault_dials_in_vain_do_not_keep_from_whoever_was_reached() {
    let config = Config { dials_burst: 100, ..Config::default() };
    let mut budget = Budget::new(&config);
    let ask = |budget: &mut Budget, port, standing| budget.ask(&at([8, 8, 8, 8], port), standing, &config, T);
    let of_liar = (0..100).filter(|_| ask(&mut budget, 9_000, told(66)) == Allowance::Granted).count();
    assert_eq!(of_liar, 2);
    assert_eq!(ask(&mut budget, 4_000, told(1)), Allowance::Granted, "another one tells of it");
    assert_eq!(ask(&mut budget, 4_000, told(2)), Allowance::NotThere, "three in all");
    assert_eq!(ask(&mut budget, 80, Standing::Reached), Allowance::NotThere, "no usual service");
    for _ in 0..10 {
        assert_eq!(ask(&mut budget, 4_000, Standing::Reached), Allowance::Granted);
        budget.reached(&at([8, 8, 8, 8], 4_000));
    }
    while ask(&mut budget, 4_000, Standing::Reached) == Allowance::Granted {
        budget.reached(&at([8, 8, 8, 8], 4_000));
    }
    assert_eq!(ask(&mut budget, 4_000, Standing::Reached), Allowance::NotNow, "the rate is for all");
}

#[test]
fn fault_whoever_has_a_host_after_many_that_were_reached_there_is_dialled_three_times_an_hour() {
    let config = Config { dials_burst: 1_000, ..Config::default() };
    let mut budget = Budget::new(&config);
    let mut dialled = |from: Timestamp| {
        let mut ask = |port| budget.ask(&at([8, 8, 8, 8], port), Standing::Reached, &config, from);
        (4_000..4_100).filter(|port| ask(*port) == Allowance::Granted).count()
    };
    assert_eq!(dialled(T), 3);
    assert_eq!(dialled(T.after(COUNTED_FOR)), 3);
}

#[test]
fn addresses_are_remembered_up_to_a_limit() {
    let config = Config { dials_burst: 10_000, ..Config::default() };
    let mut budget = Budget::new(&config);
    for number in 0..=IPS_MAX as u64 {
        let [.., a, b] = number.to_be_bytes();
        assert_eq!(
            budget.ask(&at([20, a, b, 1], 4_000), told(1), &config, T.after(Duration::from_secs(number))),
            Allowance::Granted
        );
        assert_eq!(budget.by_target.len() as u64, (number + 1).min(IPS_MAX as u64));
    }
    assert!(!budget.by_target.contains_key(&Target::Host([20, 0, 0, 1].into())));
}
