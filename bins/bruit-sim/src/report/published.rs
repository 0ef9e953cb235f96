use bruit_sim::Sample;

/// By how many standard errors of the difference our mean and one from elsewhere are apart, beyond the rounding of the latter.
/// `None` where ours did not vary and lies elsewhere.
pub(super) fn errors_apart(ours: &[f64], (mean, unit): (f64, f64), runs: u32) -> Option<f64> {
    let sample: Sample = ours.iter().copied().collect();
    let apart = ((sample.mean - mean).abs() - unit / 2.0).max(0.0);
    if apart == 0.0 {
        return Some(0.0);
    }
    let error = sample.deviation * (1.0 / sample.count.max(1) as f64 + 1.0 / f64::from(runs.max(1))).sqrt();
    (error > 0.0).then(|| apart / error)
}

#[cfg(test)]
mod tests {
    use super::errors_apart;

    #[test]
    fn means_are_compared_in_errors_of_their_difference() {
        let ours = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(errors_apart(&ours, (2.5, 0.1), 4), Some(0.0));
        let apart = errors_apart(&ours, (3.5, 0.0), 4).unwrap();
        assert!((apart - 1.0 / (1.290_994 * 0.5_f64.sqrt())).abs() < 1e-5, "{apart}");
        assert_eq!(errors_apart(&[1.0, 1.0], (2.0, 0.1), 4), None);
    }
}
