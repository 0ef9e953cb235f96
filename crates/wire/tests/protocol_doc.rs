//! The table of limits in `docs/protocol.md` is what the code holds to; `BRUIT_BLESS=1` writes it anew.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::{env, fs, path::Path};

use bruit_wire::limits::{self, Field, Kind, Limits};

const START: &str = "<!-- generated: limits -->\n";
const END: &str = "<!-- end -->";

fn in_groups_of_three(number: usize) -> String {
    let digits = number.to_string();
    let is_group = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    digits.char_indices().flat_map(|(at, digit)| is_group(at).then_some(',').into_iter().chain([digit])).collect()
}

fn entry(field: &Field) -> String {
    let what = match field.kind {
        Kind::Number => String::new(),
        Kind::Bytes { max } => format!(" <= {}", in_groups_of_three(max)),
        Kind::Message(limits) => format!(" `{}`", limits.name),
    };
    let count = match field.count_max {
        1 => String::new(),
        count => format!(" x {}", in_groups_of_three(count as usize)),
    };
    format!("{} {}{what}{count}", field.number, field.name)
}

fn row(limits: &Limits) -> String {
    let fields: Vec<_> = limits.fields.iter().map(entry).collect();
    format!("| `{}` | {} | {} |\n", limits.name, in_groups_of_three(limits.bytes_max), fields.join("; "))
}

#[test]
fn the_table_of_limits_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(START).expect("the table's first mark");
    let (table, after) = rest.split_once(END).expect("the table's last mark");
    let rows: String = limits::ALL.iter().map(|limits| row(limits)).collect();
    let wanted = format!("| message | bytes | fields |\n|---|---:|---|\n{rows}");
    if env::var_os("BRUIT_BLESS").is_some() {
        fs::write(&path, format!("{before}{START}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, wanted, "BRUIT_BLESS=1 cargo test -p bruit-wire --test protocol_doc writes it anew");
}

#[test]
fn the_largest_frame_in_the_text_is_the_codes() {
    let document = include_str!("../../../docs/protocol.md");
    let text = format!("**{} bytes**", in_groups_of_three(bruit_wire::FRAME_MAX));
    assert!(document.contains(&text), "{text}");
}
