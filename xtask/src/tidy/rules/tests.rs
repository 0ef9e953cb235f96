use super::findings;

fn texts(path: &str, source: &str) -> Vec<String> {
    findings(path, source).into_iter().map(|finding| finding.to_string()).collect()
}

#[track_caller]
fn clean(source: &str) {
    assert_eq!(texts("src/a.rs", source), Vec::<String>::new());
}

#[track_caller]
fn caught(source: &str, line: usize, part: &str) {
    let found = texts("src/a.rs", source);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("src/a.rs:{line}: ")), "{found:?}");
    assert!(found[0].contains(part), "{found:?}");
}

#[test]
fn lengths_are_held_at_the_limit_and_not_below() {
    clean(&"\n".repeat(600));
    caught(&"\n".repeat(601), 1, "601 lines");

    let function = |inside| format!("fn f() {{\n{}}}\n", "x();\n".repeat(inside));
    clean(&function(98));
    caught(&function(99), 1, "`f` has 101 lines");

    let module = |inside| format!("mod tests {{\n{}}}\n", "use x;\n".repeat(inside));
    clean(&module(98));
    caught(&module(99), 1, "unit tests of 101 lines");
}

#[test]
fn markers_need_an_explanation() {
    caught("// TODO\n", 1, "TODO");
    caught("\n/// FIXME: later\n", 2, "FIXME");
    caught("/* XXX */", 1, "XXX");
    clean("// TODO: ranges of an item cannot be fetched yet\n");
    clean("let a = \"TODO\"; // XXXL\n");
}

#[test]
fn unfinished_code_is_caught() {
    caught("fn f() { todo!() }\n", 1, "`todo!`");
    caught("fn f() { unimplemented!(\"x\") }\n", 1, "`unimplemented!`");
    caught("#[ignore]\nfn f() {}\n", 1, "left out");
    clean("// todo!()\nlet a = \"unimplemented!()\"; let todo = 1;\n");
}

#[test]
fn names_that_say_nothing_are_caught() {
    for name in ["utils", "mod", "types", "helpers"] {
        assert_eq!(texts(&format!("crates/a/src/{name}.rs"), "").len(), 1, "{name}");
    }
    assert!(texts("crates/a/src/address_types.rs", "").is_empty());
}

#[test]
fn a_crate_opens_with_its_doc() {
    assert!(texts("crates/a/src/lib.rs", "\n#![no_std]\n//! What it decides.\n").is_empty());
    assert_eq!(texts("crates/a/src/lib.rs", "mod a;\n//! Late.\n").len(), 1);
    assert_eq!(texts("crates/a/src/lib.rs", "").len(), 1);
}

#[test]
fn only_the_clock_is_excused_from_the_banned_methods() {
    let source = "#[allow(clippy::disallowed_methods, reason = \"here\")]\nfn f() {}\n";
    assert!(texts("crates/core/src/clock.rs", source).is_empty());
    assert!(texts("crates/node/src/clock.rs", source).is_empty());
    assert!(texts("crates/gossip/tests/swarm.rs", source).is_empty());
    assert_eq!(texts("crates/gossip/src/engine.rs", source).len(), 1);
}

#[test]
fn rulers_and_dead_code_are_caught_and_prose_is_not() {
    caught("// ------\n", 1, "ruler");
    caught("//! ======\n", 1, "ruler");
    caught("// let a = b();\n", 1, "commented-out");
    clean("/// | --- | --- |\n// use the older one; it has the longer name.\n/// let a = b();\n");
}
