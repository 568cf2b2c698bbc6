//! Medians, and the median of pairs: what one side's noise shares with the other's cancels in a pair.

/// The middle value, or the mean of the two middle ones; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().saturating_sub(1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some((low + high) / 2.0)
}

/// How many times faster we are: the median over pairs of the peer's time over ours; none without the peer.
pub fn speed_ratio(ours: &[f64], peer: &[f64]) -> Option<f64> {
    median(&ours.iter().zip(peer).map(|(ours, peer)| peer / ours).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_even_and_no_counts() {
        assert_eq!(median(&[5.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), Some(3.0));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_ratio_is_of_pairs_not_of_medians() {
        // The machine was three times slower for one pair: its ratio is as good as the others.
        let (ours, peer) = ([10.0, 30.0, 11.0], [20.0, 63.0, 33.0]);
        assert_eq!(speed_ratio(&ours, &peer), Some(2.1));
        assert_eq!(median(&peer).zip(median(&ours)).map(|(p, o)| p / o), Some(3.0));
        assert_eq!(speed_ratio(&ours, &[]), None);
    }
}
