//! Names of people, companies and vessels that exist nowhere else.

use porttask_domain::operations::vendor::Service;

use crate::random::Random;

const FIRST_NAMES: [&str; 64] = [
    "Ana",
    "Bruno",
    "Cleo",
    "Dana",
    "Émile",
    "Fatima",
    "Gustav",
    "Hanna",
    "Ibrahim",
    "Jolanda",
    "Kaito",
    "Lena",
    "Mateo",
    "Nadia",
    "Olaf",
    "Priya",
    "Quentin",
    "Rosa",
    "Sven",
    "Tomasz",
    "Ursula",
    "Viktor",
    "Wiebke",
    "Ximena",
    "Yusuf",
    "Zofia",
    "Anders",
    "Beatriz",
    "Chiara",
    "Dimitri",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jakub",
    "Karin",
    "Leandro",
    "Mei",
    "Niko",
    "Oksana",
    "Pedro",
    "Rana",
    "Søren",
    "Tanja",
    "Umut",
    "Vera",
    "Willem",
    "Ylva",
    "Zeynep",
    "Aki",
    "Bente",
    "Carlos",
    "Dorota",
    "Erik",
    "Filipa",
    "Giorgos",
    "Hilde",
    "Ivana",
    "Joris",
    "Katarzyna",
    "Luca",
    "Marit",
    "Noor",
];

const LAST_NAMES: [&str; 64] = [
    "Souza",
    "Keller",
    "Tanaka",
    "Petrova",
    "Åström",
    "Rahman",
    "Jansen",
    "Vogel",
    "Okafor",
    "de Vries",
    "Nakamura",
    "Brandt",
    "Garcia",
    "Haddad",
    "Nilsen",
    "Sharma",
    "Moreau",
    "Costa",
    "Lindqvist",
    "Kowalski",
    "Weber",
    "Ivanov",
    "Petersen",
    "Torres",
    "Yilmaz",
    "Nowak",
    "Bakker",
    "Ferreira",
    "Rossi",
    "Papadakis",
    "Demir",
    "Aziz",
    "Larsen",
    "Dubois",
    "Silva",
    "Horák",
    "Schmitt",
    "Romano",
    "Chen",
    "Virtanen",
    "Melnyk",
    "Alvarez",
    "Khalil",
    "Sørensen",
    "Richter",
    "Kaya",
    "Novák",
    "van Dijk",
    "Holm",
    "Arslan",
    "Mori",
    "Hansen",
    "Mendes",
    "Wójcik",
    "Berg",
    "Lopes",
    "Economou",
    "Dahl",
    "Marković",
    "Peeters",
    "Zielińska",
    "Bianchi",
    "Olsen",
    "El Amrani",
];

const COMPANY_NAMES: [&str; 40] = [
    "Nordsee",
    "Hanse",
    "Baltic",
    "Meridian",
    "Blue Anchor",
    "Delta",
    "Harbour Bridge",
    "Seven Seas",
    "Alba",
    "Kattegat",
    "Levant",
    "Pacific Gate",
    "Elbe",
    "Iberia",
    "Aegean",
    "Copper Coast",
    "Albatross",
    "Gulfstream",
    "Lighthouse",
    "Skagen",
    "Polaris",
    "Bosporus",
    "Tidewater",
    "Windward",
    "Cape",
    "Adria",
    "Neptune",
    "Leeward",
    "Estuary",
    "Compass",
    "Sound",
    "Northern Light",
    "Monsoon",
    "Saltmarsh",
    "Trident",
    "Oceanic",
    "Breakwater",
    "Fjord",
    "Gibraltar",
    "Kestrel",
];

const COMPANY_KINDS: [&str; 5] = ["Shipping", "Port Agency", "Logistics", "Maritime", "Lines"];

const VESSEL_NAMES: [[&str; 16]; 2] = [
    [
        "Nordic", "Ocean", "Atlantic", "Golden", "Silver", "Baltic", "Eastern", "Pacific", "Arctic", "Southern",
        "Coral", "Royal", "Crystal", "Star", "Amber", "Cape",
    ],
    [
        "Pioneer", "Spirit", "Voyager", "Harmony", "Trader", "Breeze", "Explorer", "Pearl", "Horizon", "Express",
        "Dawn", "Venture", "Fortune", "Falcon", "Glory", "Mariner",
    ],
];

const VENDOR_KINDS: [(&str, Service); 8] = [
    ("Tugs", Service::Towage),
    ("Pilots", Service::Pilotage),
    ("Linesmen", Service::Mooring),
    ("Bunkers", Service::Bunkering),
    ("Ship Supply", Service::Supplies),
    ("Stevedores", Service::Stevedoring),
    ("Marine Repair", Service::Repair),
    ("Waste Services", Service::Waste),
];

/// Real user agents of current browsers.
pub(crate) const USER_AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36 Edg/153.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/27.0 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0",
];

/// A person's name.
pub(crate) fn person(random: &mut Random) -> String {
    format!("{} {}", random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES))
}

/// The name of the company with this number.
pub(crate) fn company(number: usize) -> String {
    let (name, kind) = (COMPANY_NAMES[number % COMPANY_NAMES.len()], COMPANY_KINDS[number % COMPANY_KINDS.len()]);
    match number / COMPANY_NAMES.len() {
        0 => format!("{name} {kind}"),
        round => format!("{name} {kind} {}", round + 1),
    }
}

/// The name of a vendor and what it offers.
pub(crate) fn vendor(random: &mut Random, number: usize) -> (String, Service) {
    let (kind, service) = VENDOR_KINDS[number % VENDOR_KINDS.len()];
    (format!("{} {kind}", random.pick(&COMPANY_NAMES)), service)
}

/// A vessel's name, and an IMO number with its check digit.
pub(crate) fn vessel(random: &mut Random) -> (String, String) {
    let name = format!("{} {}", random.pick(&VESSEL_NAMES[0]), random.pick(&VESSEL_NAMES[1]));
    let number = random.within(910_000..985_000);
    let digits: Vec<i64> = number.to_string().bytes().map(|digit| i64::from(digit - b'0')).collect();
    let check = digits.iter().zip((2..=7).rev()).map(|(digit, weight)| digit * weight).sum::<i64>() % 10;
    (name, format!("{number}{check}"))
}

/// Lower-case letters, digits and hyphens of a name, for domains and mailboxes.
pub(crate) fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let ascii = lower.chars().map(|letter| match letter {
        'á' | 'à' | 'å' | 'ä' => 'a',
        'é' | 'è' => 'e',
        'ø' | 'ö' | 'ó' => 'o',
        'ń' => 'n',
        'ć' => 'c',
        ' ' => '-',
        other => other,
    });
    ascii.filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').collect()
}
