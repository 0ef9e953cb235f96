use bruit_core::{PeerId, Timestamp};
use bruit_stack::address_book::{
    AddressBook, Ban, BanReason, BanSource, ChoiceExplanation, ChoiceReason, EntryView, Evidence, Part, Severity,
    Standing, Table,
};

use crate::{
    book_lines,
    runtime::Runtime,
    status::{BanEvidence, BanInfo, BookEntry, BookShape, BookWhy, ChoiceInfo, ImportReport, MethodInfo},
};

const HOUR_SECS: u64 = 3_600;
const AGES_SECS: [u64; 4] = [HOUR_SECS, 24 * HOUR_SECS, 7 * 24 * HOUR_SECS, 30 * 24 * HOUR_SECS];

impl Runtime {
    pub(crate) fn book(&self, count_max: usize) -> Vec<BookEntry> {
        let behaviour = self.swarm.behaviour();
        let (book, now) = (behaviour.book(), behaviour.now());
        let mut entries: Vec<_> = book.entries(now).collect();
        entries.sort_by(|a, b| (b.table, b.last_seen, &a.endpoint).cmp(&(a.table, a.last_seen, &b.endpoint)));
        entries.into_iter().take(count_max).map(|entry| entry_of(entry, book, now)).collect()
    }

    pub(crate) fn book_shape(&self) -> BookShape {
        let behaviour = self.swarm.behaviour();
        let (book, now) = (behaviour.book(), behaviour.now());
        let counts = book.counts();
        let largest = counts.groups.iter().max_by_key(|(group, count)| (**count, std::cmp::Reverse(**group)));
        let mut shape = BookShape {
            groups: counts.groups.len(),
            largest_group: largest.map(|(group, _)| group.to_string()),
            largest_group_share: largest.map_or(0.0, |(_, count)| *count as f64 / book.len().max(1) as f64),
            waiting_for_tests: counts.collisions,
            is_offline: book.is_offline(),
            ..BookShape::default()
        };
        for entry in book.entries(now) {
            shape.would_be_dropped += usize::from(entry.is_terrible);
            let age = now.since(entry.last_seen).as_secs();
            for (count, _) in shape.ages.iter_mut().zip(AGES_SECS).filter(|(_, limit)| age < *limit) {
                *count += 1;
            }
        }
        shape
    }

    pub(crate) fn book_why(&self, peer: PeerId) -> Option<BookWhy> {
        let behaviour = self.swarm.behaviour();
        let (book, now) = (behaviour.book(), behaviour.now());
        let explanation = book.explain(&peer, now)?;
        let parts = explanation.quality.parts.iter().map(|value| (value.part.name().to_owned(), value.points));
        let methods = explanation.methods.into_iter().map(|view| MethodInfo {
            method: view.method,
            answered: view.answered,
            failed: view.failed,
        });
        Some(BookWhy {
            peer_id: peer,
            quality: explanation.quality.total,
            parts: parts.collect(),
            standing: match explanation.standing {
                Standing::Good => "good",
                Standing::Unshared => "unshared",
                Standing::Ignored => "ignored",
                Standing::Bannable => "bannable",
            }
            .to_owned(),
            connected_seconds: explanation.connected_since.map(|since| now.since(since).as_secs()),
            is_special: explanation.is_special,
            methods: methods.collect(),
            endpoints: explanation.endpoints.into_iter().map(|entry| entry_of(entry, book, now)).collect(),
            ban: explanation.ban.as_ref().map(|ban| ban_of(ban, now)),
            last_choice: explanation.last_choice.as_ref().map(|choice| choice_of(choice, now)),
        })
    }

    pub(crate) fn book_export(&self) -> String {
        let behaviour = self.swarm.behaviour();
        book_lines::to_lines(behaviour.book().records(behaviour.now()))
    }

    pub(crate) fn book_import(&mut self, text: &str) -> ImportReport {
        let (records, unreadable) = book_lines::from_lines(text);
        let report = self.swarm.behaviour_mut().book_import(records);
        ImportReport {
            entries: report.entries,
            tried: report.tried,
            peers: report.peers,
            bans: report.bans,
            refused: report.refused,
            displaced: report.displaced,
            unreadable,
        }
    }

    pub(crate) fn bans(&self) -> Vec<BanInfo> {
        let behaviour = self.swarm.behaviour();
        let now = behaviour.now();
        behaviour.book().bans(now).map(|ban| ban_of(ban, now)).collect()
    }
}

fn entry_of(entry: EntryView, book: &AddressBook, now: Timestamp) -> BookEntry {
    let ago = |then: Timestamp| now.since(then).as_secs();
    BookEntry {
        quality: entry.peer.map_or(0, |peer| book.quality(&peer, now).total),
        endpoint: entry.endpoint,
        peer_id: entry.peer,
        table: match entry.table {
            Table::New => "new",
            Table::Tried => "tried",
        }
        .to_owned(),
        group: entry.group.to_string(),
        seen_seconds_ago: ago(entry.last_seen),
        reached_seconds_ago: entry.last_success.map(ago),
        failures: entry.failures,
        is_special: entry.is_special,
        would_be_dropped: entry.is_terrible,
    }
}

fn choice_of(choice: &ChoiceExplanation, now: Timestamp) -> ChoiceInfo {
    ChoiceInfo {
        endpoint: choice.endpoint.clone(),
        seconds_ago: now.since(choice.at).as_secs(),
        chance: choice.chance,
        needed: choice.needed,
        parts: choice.parts.iter().map(|part| (reason_name(part.reason), part.thousandths)).collect(),
        top: reason_name(choice.top),
    }
}

fn reason_name(reason: ChoiceReason) -> String {
    match reason {
        ChoiceReason::Drawn => "drawn".to_owned(),
        ChoiceReason::Quality(part) => format!("quality: {}", part.name()),
        ChoiceReason::Discouraged => "discouraged".to_owned(),
        ChoiceReason::Failures => "failures".to_owned(),
        ChoiceReason::DialledLately => "dialled lately".to_owned(),
        ChoiceReason::Silent => "silent".to_owned(),
        ChoiceReason::Patience => "patience".to_owned(),
        ChoiceReason::LastResort => "last resort".to_owned(),
    }
}

fn ban_of(ban: &Ban, now: Timestamp) -> BanInfo {
    BanInfo {
        subject: ban.subject.to_string(),
        reason: match ban.reason {
            BanReason::Requested => "requested",
            BanReason::WrongNetwork => "wrong network",
            BanReason::BrokeProtocol => "broke a protocol",
            BanReason::SentInvalid => "sent what is invalid",
            BanReason::FailedCalls => "failed calls",
            BanReason::Application => "the application's judgement",
            BanReason::BannedPeers => "several banned peers came from there",
        }
        .to_owned(),
        source: match ban.source {
            BanSource::Rule => "rule",
            BanSource::Operator => "operator",
        }
        .to_owned(),
        severity: match ban.severity {
            Severity::Banned => "banned",
            Severity::Discouraged => "discouraged",
        }
        .to_owned(),
        seconds_ago: now.since(ban.since).as_secs(),
        seconds_left: ban.until.since(now).as_secs(),
        evidence: ban.evidence.as_ref().map(evidence_of),
    }
}

fn evidence_of(evidence: &Evidence) -> BanEvidence {
    let parts = Part::ALL.into_iter().zip(evidence.parts).filter(|(_, points)| *points != 0);
    BanEvidence {
        quality: evidence.total(),
        below: evidence.below,
        parts: parts.map(|(part, points)| (part.name().to_owned(), points)).collect(),
        decided_by: evidence.top().into_iter().map(|part| part.name().to_owned()).collect(),
        seen_at: evidence.seen_at,
    }
}
