use std::{fs, path::Path};

use super::*;

fn layers(file: Option<&Path>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
    Layers {
        defaults: Vec::new(),
        file: file.map(Path::to_owned),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(key, value)| setting(key, value)).collect(),
    }
}

fn setting(key: &str, value: &str) -> Setting {
    Setting { key: key.to_owned(), values: vec![value.to_owned()], flag: format!("--{key}") }
}

fn file(dir: &tempfile::TempDir, text: &str) -> std::path::PathBuf {
    let path = dir.path().join("bruit.toml");
    fs::write(&path, text).unwrap();
    path
}

fn refusal(layers: &Layers) -> String {
    layers.resolve().unwrap_err().to_string()
}

#[test]
fn a_file_yields_to_the_environment_and_both_to_flags() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "outbound = 1\nfanout = 1\nrounds = 1\n\n[files]\nrepair = false\n");
    let environment = [("BRUIT_FANOUT", "2"), ("BRUIT_ROUNDS", "2"), ("PATH", "/bin")];
    let effective = layers(Some(&path), &environment, &[("rounds", "3")]).resolve().unwrap();
    let config = &effective.config;
    assert_eq!((config.outbound, config.fanout, config.rounds, config.inbound_max), (1, 2, 3, 150));
    assert!(!config.files.repair);
    assert_eq!(effective.source("outbound"), Source::File { path: path.clone(), line: 1 });
    assert_eq!(effective.source("fanout"), Source::Environment("BRUIT_FANOUT".to_owned()));
    assert_eq!(effective.source("rounds"), Source::Flag("--rounds".to_owned()));
    assert_eq!(effective.source("inbound_max"), Source::Profile("bruit".to_owned()));
    assert_eq!(effective.source("files.repair"), Source::File { path, line: 6 });
}

#[test]
fn every_key_can_be_set_by_every_layer() {
    let table = schema::table_of(&Config::default());
    for key in schema::keys(&table).into_iter().filter(|key| key != "topics") {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let value = schema::at(&table, &path).unwrap();
        let text = match (value.as_array(), value.as_str()) {
            (Some(values), _) => values.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(","),
            (None, Some(text)) => text.to_owned(),
            (None, None) => value.to_string(),
        };
        let variable = schema::variable(&key);
        layers(None, &[(&variable, &text)], &[(&key, &text)])
            .resolve()
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

#[test]
fn lists_and_topics_are_read_from_text() {
    let environment =
        [("BRUIT_SEED_ADDRS", "/ip4/1.2.3.4/tcp/1, /dns/a.b/tcp/2"), ("BRUIT_TOPICS", "a=everybody,b=subscribers")];
    let config = layers(None, &environment, &[("topics.c.fanout", "3")]).resolve().unwrap().config;
    assert_eq!(config.seed_addrs.len(), 2);
    assert_eq!(config.topics["a"].carry, Some(Carry::Everybody));
    assert_eq!(config.topics["b"].carry, Some(Carry::Subscribers));
    assert_eq!(config.topics["c"], TopicSettings { fanout: Some(3), ..TopicSettings::default() });
}

#[test]
fn an_unknown_key_names_the_nearest_and_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "# first\noutbount = 4\n");
    let text = refusal(&layers(Some(&path), &[], &[]));
    assert_eq!(text, format!("{}, line 2: unknown key `outbount`, did you mean `outbound`?", path.display()));

    let path = file(&dir, "[files]\nrepare = true\n");
    assert!(
        refusal(&layers(Some(&path), &[], &[]))
            .ends_with("line 2: unknown key `files.repare`, did you mean `files.repair`?")
    );

    let path = file(&dir, "[topics.news]\ncary = \"everybody\"\n");
    assert!(
        refusal(&layers(Some(&path), &[], &[]))
            .contains("line 2: `topics.news.cary` cannot be \"everybody\": unknown field")
    );

    let text = refusal(&layers(None, &[("BRUIT_OUTBOND", "4")], &[]));
    assert_eq!(text, "environment variable BRUIT_OUTBOND: unknown key `BRUIT_OUTBOND`, did you mean `BRUIT_OUTBOUND`?");
    assert_eq!(refusal(&layers(None, &[], &[("zzz", "1")])), "flag --zzz: unknown key `zzz`");
}

#[test]
fn a_wrong_value_names_its_key_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "fanout = 16\noutbound = \"many\"\n");
    assert!(refusal(&layers(Some(&path), &[], &[])).contains("line 2: `outbound` cannot be \"many\""));
    let path = file(&dir, "fanout = = 16\n");
    assert!(refusal(&layers(Some(&path), &[], &[])).contains("line 1 is no TOML"));
    let text = refusal(&layers(None, &[("BRUIT_OUTBOUND", "many")], &[]));
    assert_eq!(text, "environment variable BRUIT_OUTBOUND: `outbound` cannot be `many`: a whole number is wanted");
    assert!(refusal(&layers(None, &[], &[("outbound", "-1")])).starts_with("flag --outbound: `outbound` cannot be -1"));
    assert!(refusal(&layers(None, &[], &[("listen", "here")])).starts_with("flag --listen: `listen` cannot be"));
    assert!(refusal(&layers(None, &[], &[("files", "1")])).contains("this is a section"));
    assert!(refusal(&layers(None, &[], &[("files.tries_max", "0")])).contains("must be at least 1"));
    assert!(refusal(&layers(Some(&dir.path().join("none.toml")), &[], &[])).starts_with("cannot read"));
}

#[test]
fn profiles_set_what_nobody_else_says() {
    for name in PROFILES {
        let config = layers(None, &[], &[("profile", name)]).resolve().unwrap().config;
        assert_eq!(config.profile, name);
    }
    assert!(refusal(&layers(None, &[("BRUIT_PROFILE", "factum")], &[])).contains("did you mean `factom`?"));
    let flags = [("profile", "horizen"), ("inbound_max", "20")];
    let config = layers(None, &[], &flags).resolve().unwrap().config;
    assert_eq!((config.outbound, config.inbound_max, config.ephemeral_identity), (8, 20, false));
    let config = layers(None, &[], &[("profile", "factom")]).resolve().unwrap().config;
    assert_eq!((config.exchange.addrs_per_answer_max, config.ephemeral_identity), (128, true));
}

#[test]
fn what_is_printed_can_be_read_again() {
    let effective = layers(None, &[("BRUIT_TOPICS", "news=everybody")], &[("fanout", "5")]).resolve().unwrap();
    let text = effective.to_toml();
    assert!(text.contains("fanout = 5") && text.contains("# flag --fanout"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let again = layers(Some(&file(&dir, &text)), &[], &[]).resolve().unwrap();
    assert_eq!(again.config, effective.config);
}

#[test]
fn seed_files_have_comments_and_say_what_line_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seeds");
    fs::write(&path, "# ours\n/ip4/1.2.3.4/tcp/1 # first\n\n/dns/a.b/tcp/2\n").unwrap();
    assert_eq!(read_seed_file(&path).unwrap().len(), 2);
    fs::write(&path, "/ip4/1.2.3.4/tcp/1\nnowhere\n").unwrap();
    assert!(read_seed_file(&path).unwrap_err().to_string().contains("line 2: `nowhere` is no address"));
}

#[test]
fn times_say_their_unit_in_one_of_two_words() {
    let times = ["timeout", "delay", "interval", "linger", "stay_away", "backoff_", "deadline", "half_life", "keep"];
    let table = schema::table_of(&Config::default());
    for key in schema::keys(&table) {
        assert!(!key.ends_with("_seconds") && !key.ends_with("_millis"), "{key} ends in _secs or _ms");
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let value = schema::at(&table, &path);
        let name = key.rsplit('.').next().unwrap();
        let is_time =
            value.unwrap().is_integer() && times.iter().any(|time| name.contains(time)) && !name.contains("entries");
        assert!(!is_time || name.contains("_ms") || name.contains("_secs"), "{key} does not say its unit");
    }
}

#[test]
fn an_address_that_is_none_is_answered_with_one() {
    for key in ["listen", "seed_addrs", "fixed_seeds", "addnodes"] {
        let text = refusal(&layers(None, &[], &[(key, "192.0.2.7:4171")]));
        assert!(text.contains("192.0.2.7:4171") && text.ends_with(ADDR_EXAMPLE), "{text}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, "nowhere\n");
    assert!(read_seed_file(&path).unwrap_err().to_string().ends_with(ADDR_EXAMPLE));
}

#[test]
fn built_in_methods_are_named_by_their_names() {
    let check = |names: &[&str]| {
        Config { builtin_methods: names.iter().map(|name| (*name).to_owned()).collect(), ..Config::default() }.check()
    };
    assert!(check(&[]).is_ok() && check(&BUILTIN_METHODS).is_ok());
    let text = check(&["ping", "pong"]).unwrap_err().to_string();
    assert_eq!(
        text,
        "`builtin_methods`: there is no built-in method `pong`; there are ping, echo, object, recent, peers"
    );
}

#[test]
fn messages_spread_as_the_profile_says_unless_the_configuration_does() {
    use bruit_stack::gossip::{Priority, Signatures, Topic};

    let stack = |profile: &str, pairs: &[(&str, &str)]| {
        let flags = [&[("profile", profile)], pairs].concat();
        let gossip = layers(None, &[], &flags).resolve().unwrap().config.stack().unwrap().gossip;
        let policy = |name: &str| {
            let topic = gossip.topics.get(&Topic::new(name).unwrap()).or(gossip.other_topics.as_ref());
            topic.unwrap().policy.name()
        };
        [policy("blocks"), policy("private"), policy("else")]
    };
    assert_eq!(stack("bruit", &[]), ["tree"; 3]);
    assert_eq!(stack("bruit", &[("policy", "fanout")]), ["fanout"; 3]);
    assert_eq!(stack("factom", &[]), ["fanout"; 3]);
    assert_eq!(stack("casper", &[]), ["infection"; 3]);
    assert_eq!(stack("horizen", &[]), ["flood", "dandelion", "diffusion"]);
    assert_eq!(stack("horizen", &[("policy", "infection")]), ["infection"; 3]);
    assert_eq!(stack("horizen", &[("topics.blocks.fanout", "3")]), ["fanout", "dandelion", "diffusion"]);
    let flags =
        [("profile", "horizen"), ("topics.blocks.carry", "subscribers"), ("topics.blocks.signatures", "required")];
    let gossip = layers(None, &[], &flags).resolve().unwrap().config.stack().unwrap().gossip;
    let blocks = &gossip.topics[&Topic::new("blocks").unwrap()];
    assert_eq!((blocks.policy.name(), blocks.priority), ("flood", Priority::High), "the rest stays the profile's");
    assert_eq!(blocks.signatures, Signatures::Required);
    assert_eq!(gossip.other_topics.unwrap().signatures, Signatures::Off);
    let error = layers(None, &[], &[("policy", "rumour")]).resolve().unwrap_err().to_string();
    assert!(error.contains("rumour") && error.contains("infection"), "{error}");
}
