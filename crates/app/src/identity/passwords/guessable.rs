//! Passwords that are made of words that an attacker tries first, with a few digits or signs.

/// The fewest letters that a password must have beside such words.
const FEWEST_LETTERS: usize = 4;
/// The fewest digits that a password must have beside such words, if it has no letters: a year is not enough.
const FEWEST_DIGITS: usize = 6;
/// Shorter parts of names are too frequent in other words.
const SHORTEST_WORD: usize = 3;

const SERVICE: &str = "porttask";
const COMMON: [&str; 24] = [
    "access",
    "administrator",
    "admin",
    "changeme",
    "default",
    "football",
    "guest",
    "hello",
    "iloveyou",
    "initial",
    "letmein",
    "login",
    "master",
    "monkey",
    "newpassword",
    "passw0rd",
    "password",
    "princess",
    "qwerty",
    "secret",
    "sunshine",
    "temporary",
    "test",
    "welcome",
];

/// Whether a password is made of the words of its user (names, addresses, domains) or the name of the service.
pub(super) fn is_made_of_own(password: &str, own: &[&str]) -> bool {
    let mut words = vec![SERVICE.to_owned()];
    for own in own {
        let own = own.to_lowercase();
        words.push(signs_removed(&own));
        words.extend(own.split('@').map(signs_removed));
        words.extend(own.split(|character: char| !character.is_alphanumeric()).map(str::to_owned));
    }
    is_made_of(password, words)
}

/// Whether a password is made of common words.
pub(super) fn is_made_of_common(password: &str) -> bool {
    is_made_of(password, COMMON.map(str::to_owned).into())
}

fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphabetic()).collect()
}

fn signs_removed(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}

fn is_made_of(password: &str, words: Vec<String>) -> bool {
    let password = password.to_lowercase();
    let all = letters(&password);
    let left = without(all.clone(), words.iter().map(|word| letters(word)).collect());
    // Digits of a word, such as those of a domain, are as easy to guess as its letters.
    let digits = without(signs_removed(&password), words);
    left.len() < all.len() && left.chars().count() < FEWEST_LETTERS && weight_of_digits(&digits) < FEWEST_DIGITS
}

/// A text without these words. The longest first, so that a name within an address does not hide the address.
fn without(text: String, mut words: Vec<String>) -> String {
    words.retain(|word| word.chars().count() >= SHORTEST_WORD);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.iter().fold(text, |left, word| left.replace(word, ""))
}

/// The number of digits; those that repeat or continue the one before do not count.
fn weight_of_digits(text: &str) -> usize {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let continues = digits.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    digits.len() - continues
}
