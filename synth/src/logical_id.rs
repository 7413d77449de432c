//! Turns a user's name into a part of a logical ID: letters and digits only, stable, and different for different names.

use sha2::{Digest, Sha256};

/// Returns the part of a logical ID that stands for `name`. A name of lower-case letters and digits is only capitalised (`weather` →
/// `Weather`). In any other name, characters that a logical ID cannot contain are removed (Template reference, "Resources": alphanumeric) and
/// four digits of the name's hash are appended, so that `a-b` and `a_b` differ, and neither changes when the other is added.
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
