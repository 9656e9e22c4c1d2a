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
        words.push(letters(&own));
        words.extend(own.split('@').map(letters));
        words.extend(own.split(|character: char| !character.is_alphanumeric()).map(letters));
    }
    is_made_of(password, words)
}

/// Whether a password is made of common words.
pub(super) fn is_made_of_common(password: &str) -> bool {
    is_made_of(password, COMMON.map(letters).into())
}

fn letters(text: &str) -> String {
    text.chars().filter(|character| character.is_alphabetic()).collect()
}

fn is_made_of(password: &str, mut words: Vec<String>) -> bool {
    let password = password.to_lowercase();
    let mut left = letters(&password);
    let all = left.len();
    words.retain(|word| word.chars().count() >= SHORTEST_WORD);
    // The longest first, so that a name within an address does not hide the address.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    for word in &words {
        left = left.replace(word, "");
    }
    left.len() < all && left.chars().count() < FEWEST_LETTERS && weight_of_digits(&password) < FEWEST_DIGITS
}

/// The number of digits; those that repeat or continue the one before do not count.
fn weight_of_digits(text: &str) -> usize {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
    let continues = digits.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    digits.len() - continues
}
