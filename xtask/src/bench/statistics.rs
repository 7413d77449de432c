//! Medians and percentiles.

/// The median; 0 if there are no values.
pub fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The smallest value that this percentage of the values does not exceed; 0 if there are no values.
pub fn percentile(values: &mut [f64], hundredths: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * hundredths).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], hundredths: usize, expected: f64) {
        assert!((percentile(&mut values.to_vec(), hundredths) - expected).abs() < f64::EPSILON, "{values:?}");
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        check(&[3.0, 1.0, 2.0], 50, 2.0);
        check(&[4.0, 1.0, 2.0, 3.0], 95, 4.0);
        check(&[7.0], 95, 7.0);
        check(&[], 50, 0.0);
    }
}
