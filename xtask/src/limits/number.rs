//! Numbers as Rust writes them, and as people read them.

/// Shows a value; `None` if it is more than an integer, a fraction, a product, a shift, or a `Duration` or tuple of those.
pub(super) fn shown(name: &str, value: &str) -> Option<String> {
    let value = value.trim();
    if let Some(inner) = value.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')) {
        return shown(name, inner);
    }
    match value {
        "None" => return Some("none".to_owned()),
        "Duration::ZERO" => return Some(span(0)),
        _ => {}
    }
    if let Some((first, second)) =
        value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).and_then(|inner| inner.split_once("), "))
    {
        return Some(format!("{} to {}", shown(name, &format!("{first})"))?, shown(name, second)?));
    }
    for (unit, micros) in [("secs", 1_000_000), ("millis", 1_000), ("micros", 1), ("mins", 60_000_000)] {
        let start = format!("Duration::from_{unit}(");
        if let Some(inner) = value.strip_prefix(&start).and_then(|rest| rest.strip_suffix(')')) {
            return integer(inner)?.checked_mul(micros).map(span);
        }
    }
    if let Some(number) = integer(value) {
        let is_secs = name.to_ascii_lowercase().contains("secs");
        return Some(if is_secs { span(number.checked_mul(1_000_000)?) } else { grouped(number) });
    }
    value.parse::<f64>().ok().map(|number| number.to_string())
}

/// An integer, or a product or shift of integers.
fn integer(text: &str) -> Option<i128> {
    if let Some((left, right)) = text.split_once(" << ") {
        return integer(left)?.checked_shl(u32::try_from(integer(right)?).ok()?);
    }
    text.split('*').try_fold(1_i128, |product, factor| {
        let factor: i128 = factor.trim().replace('_', "").parse().ok()?;
        product.checked_mul(factor)
    })
}

fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

fn span(micros: i128) -> String {
    if micros == 0 {
        return "0 s".to_owned();
    }
    let units = [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1_000, "ms")];
    let unit = units.into_iter().find(|(size, _)| micros >= *size && micros % size == 0);
    unit.map_or_else(|| format!("{} us", grouped(micros)), |(size, name)| format!("{} {name}", grouped(micros / size)))
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn values_are_shown_as_people_read_them() {
        for (name, value, text) in [
            ("a", "1_024", "1,024"),
            ("a", "16 * 1024", "16,384"),
            ("a", "1 << 20", "1,048,576"),
            ("A_SECS", "30 * 24 * 3_600", "30 d"),
            ("a", "Duration::from_millis(1_500)", "1,500 ms"),
            ("a", "(Duration::from_secs(60), Duration::from_secs(5 * 60))", "1 min to 5 min"),
            ("a", "Duration::ZERO", "0 s"),
            ("a_secs", "0", "0 s"),
            ("a", "Some(9)", "9"),
            ("a", "0.1", "0.1"),
            ("a", "-30_000", "-30,000"),
        ] {
            assert_eq!(shown(name, value).as_deref(), Some(text), "{value}");
        }
        assert_eq!(shown("a", "other::NUMBER"), None);
    }
}
