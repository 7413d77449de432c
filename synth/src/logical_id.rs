//! Logical ids of names that come from outside: letters and digits only, stable, and different for different names.

use sha2::{Digest, Sha256};

/// The name's part of a logical id. A name of lower case letters and digits is capitalised (`weather` → `Weather`); any other loses
/// what a logical id may not hold (Template reference, "Resources": alphanumeric) and gets four digits of its hash, so that
/// `a-b` and `a_b` differ, and neither changes when the other appears.
pub fn part(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.starts_with(|first: char| first.is_ascii_lowercase());
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).map(capitalised).collect::<String>();
    if plain { words } else { format!("{words}{}", &hex::encode(Sha256::digest(name))[..4]) }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_plain_name_is_only_capitalised() {
        assert_eq!(part("weather"), "Weather");
    }

    #[test]
    fn names_that_look_alike_have_different_ids() {
        let names = ["a-b", "a_b", "ab", "Ab", "aB", "A-b", "a--b", "1a"];
        let ids: std::collections::BTreeSet<String> = names.iter().map(|name| part(name)).collect();
        assert_eq!(ids.len(), names.len(), "{ids:?}");
        assert!(ids.iter().all(|id| id.bytes().all(|b| b.is_ascii_alphanumeric())), "{ids:?}");
    }
}
