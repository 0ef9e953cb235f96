use super::{Source, Span, words};

fn code(text: &str) -> String {
    Source::new(text).code
}

fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let spans = Source::new(text).functions();
    spans.into_iter().map(|Span { name, first, last }| (name, first, last)).collect()
}

fn one(name: &str, first: usize, last: usize) -> Vec<(String, usize, usize)> {
    vec![(name.to_owned(), first, last)]
}

#[test]
fn layers_keep_length_and_lines() {
    let text = "let a = \"é{\"; // ü }\nlet b = 'é'; /* x\n y */ c()";
    let source = Source::new(text);
    assert_eq!(source.code.len(), text.len());
    assert_eq!(source.comments.len(), text.len());
    assert_eq!(source.code.lines().count(), text.lines().count());
    assert!(source.comments.contains("// ü }"));
    assert!(source.code.ends_with("c()"));
    assert!(!source.code.contains('{'));
}

#[test]
fn literals_hide_what_they_hold() {
    for literal in [
        r#""{""#,
        r#""\"{""#,
        r#""\\""#,
        r#""// {""#,
        r##"r#"{"{"#"##,
        r#"r"\""#,
        r##"br#"/* { "#"##,
        r#"b"{""#,
        r#"c"{""#,
        "'{'",
        r"'\''",
        r"'\u{7b}'",
        "b'{'",
        "'\"'",
    ] {
        let text = format!("a({literal})z");
        let code = code(&text);
        assert!(code.starts_with("a("), "{literal}: {code}");
        assert!(code.ends_with(")z"), "{literal}: {code}");
        assert!(!code.contains(['{', '}']), "{literal}: {code}");
    }
}

#[test]
fn lifetimes_and_raw_names_are_code() {
    assert_eq!(code("fn f<'a, 'b>(x: &'a str) {}"), "fn f<'a, 'b>(x: &'a str) {}");
    assert_eq!(code("r#type + for_r(x)"), "r#type + for_r(x)");
    assert_eq!(code("'outer: loop {}"), "'outer: loop {}");
}

#[test]
fn block_comments_nest() {
    let source = Source::new("a /* { /* } */ { */ b");
    assert_eq!(source.code.split_whitespace().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_function_ends_at_its_own_brace() {
    let text = "fn f() {\n  let a = '{';\n  if b { c(\"}\") }\n  // }\n}\nfn g() {}\n";
    assert_eq!(functions(text), [one("f", 1, 5), one("g", 6, 6)].concat());
}

#[test]
fn signatures_may_hold_braces_and_semicolons() {
    assert_eq!(functions("fn f(a: [u8; { 2 }]) -> Foo<{ 3 }>\nwhere A: Fn() -> B,\n{\n}"), one("f", 1, 4));
    assert_eq!(functions("fn f<F: Fn(u8) -> Vec<Vec<u8>>>(f: F) {\n}"), one("f", 1, 2));
    assert_eq!(functions("async fn r#fn(\n) {\n}"), one("r", 1, 3));
}

#[test]
fn declarations_and_function_pointers_have_no_body() {
    assert_eq!(functions("trait T { fn f(&self) -> [u8; 2]; }"), []);
    assert_eq!(functions("struct S { f: fn(u8) -> u8 }"), []);
    assert_eq!(functions("struct Fn_fn { fnord: u8 }"), []);
}

#[test]
fn nested_functions_and_macros_are_seen() {
    let text = "fn f() {\n  fn g() {\n  }\n}\nmacro_rules! m { () => { fn $name() {} } }";
    let names: Vec<String> = functions(text).into_iter().map(|(name, _, _)| name).collect();
    assert_eq!(names, ["f", "g", "name"]);
}

#[test]
fn test_modules_are_inline_ones_called_tests() {
    let spans = Source::new("mod tests {\n fn f() {}\n}\nmod tests;\nmod tests_of_x {}").test_modules();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].lines(), 3);
}

#[test]
fn left_out_tests_are_found_however_they_are_written() {
    let text = "#[ignore]\n# [ ignore = \"slow\" ]\n#[cfg_attr(miri, ignore)]\n#[serde(ignore)]\n// #[ignore]\n";
    assert_eq!(Source::new(text).ignored_tests(), [1, 2, 3]);
}

#[test]
fn unclosed_source_ends_with_the_file() {
    assert_eq!(functions("fn f() {\n\"abc"), one("f", 1, 2));
    assert_eq!(functions("fn f() { /* abc"), one("f", 1, 1));
    assert_eq!(functions(""), []);
}

#[test]
fn words_are_whole() {
    let found: Vec<&str> = words("todo!(a_b) + XXX9").map(|(_, word)| word).collect();
    assert_eq!(found, ["todo", "a_b", "XXX9"]);
}
