use std::collections::BTreeMap;

use bruit_core::PeerId;
use bruit_stack::GoodbyeView;

/// What to do when there is no peer although there have been some: the newest goodbye of each tells why. Those whom the node had
/// dialled count, if there were any: whoever likes may come and go.
pub(super) fn left_alone(goodbyes: &[GoodbyeView]) -> Option<String> {
    let any_dialled = goodbyes.iter().any(|goodbye| goodbye.was_dialled);
    let mut newest: BTreeMap<PeerId, &GoodbyeView> = BTreeMap::new();
    for goodbye in goodbyes.iter().filter(|goodbye| goodbye.was_dialled || !any_dialled) {
        newest.entry(goodbye.peer).or_insert(goodbye);
    }
    let count = newest.len();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for goodbye in newest.values().filter(|goodbye| goodbye.by == "they") {
        *reasons.entry(goodbye.reason.as_str()).or_default() += 1;
    }
    let sent_away: usize = reasons.values().sum();
    if count == 0 {
        return None;
    }
    let peers = if count == 1 {
        "the only peer so far is gone".to_owned()
    } else {
        format!("all {count} peers so far are gone")
    };
    if sent_away < count {
        return Some(format!("{peers}; `bruit goodbyes` says why, and the node goes on dialling whom it knows"));
    }
    let reasons: Vec<String> =
        reasons.into_iter().map(|(reason, count)| format!("{count} said \"{reason}\"")).collect();
    let reasons = reasons.join(", ");
    let text = "and left by their own wish, or banned this node";
    Some(format!(
        "{peers}, {text} ({reasons}); `bruit goodbyes` says until when to stay away; name others with --seed-addr"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goodbye(peer: PeerId, by: &'static str, reason: &str) -> GoodbyeView {
        GoodbyeView { peer, secs_ago: 0, was_dialled: true, by, reason: reason.to_owned(), stay_away_secs: 0 }
    }

    #[test]
    fn a_node_that_everybody_left_says_what_they_said() {
        let [a, b] = [PeerId::random(), PeerId::random()];
        assert_eq!(left_alone(&[]), None);
        let all = [goodbye(a, "they", "requested"), goodbye(a, "nobody", "lost"), goodbye(b, "they", "misconduct")];
        let text = left_alone(&all).unwrap();
        assert!(text.starts_with("all 2 peers so far are gone, and left by their own wish, or banned"), "{text}");
        assert!(text.contains("1 said \"misconduct\", 1 said \"requested\""), "{text}");
        let lost = left_alone(&[goodbye(a, "nobody", "connection lost"), goodbye(b, "they", "full")]).unwrap();
        assert!(lost.starts_with("all 2 peers so far are gone; `bruit goodbyes` says why"), "{lost}");
        let came = GoodbyeView { was_dialled: false, ..goodbye(a, "we", "silent") };
        let text = left_alone(&[came.clone(), goodbye(b, "they", "requested"), came.clone()]).unwrap();
        assert!(text.contains("1 said \"requested\""), "{text}");
        assert!(left_alone(&[came]).is_some(), "where all came by themselves, their words count");
        assert!(left_alone(&[goodbye(a, "we", "requested")]).unwrap().starts_with("the only peer so far is gone;"));
    }
}
