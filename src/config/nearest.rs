//! The word that was probably meant.

/// The nearest of `words` to `typed`, where one is near: at most a third of it wrong, and at least one letter
/// right. Letter case counts for nothing.
pub(crate) fn nearest<'a>(
    typed: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    words
        .into_iter()
        .map(|word| {
            let steps = strsim::osa_distance(&typed, &word.to_lowercase());
            (steps, word)
        })
        .filter(|(steps, word)| *steps <= allowed(length.max(word.chars().count())))
        .min()
        .map(|(_, word)| word)
}

/// `did you mean ...?`, where something is near.
pub(crate) fn did_you_mean<'a>(
    typed: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(typed, words).map(|word| format!("did you mean `{word}`?"))
}

fn allowed(length: usize) -> usize {
    if length < 3 { 0 } else { (length / 3).max(1) }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word() {
        assert_eq!(
            nearest("adaptve", ["fixed", "adaptive", "off"]),
            Some("adaptive")
        );
        assert_eq!(nearest("adress", ["dns", "address"]), Some("address"));
        assert_eq!(nearest("Fixed", ["fixed"]), Some("fixed"));
    }

    #[test]
    fn what_resembles_nothing_finds_nothing() {
        assert_eq!(nearest("zzz", ["fixed", "adaptive", "off"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
