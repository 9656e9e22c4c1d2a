//! Languages: tags of BCP 47 with known languages, scripts and regions.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::InvalidText;

/// The languages of ISO 639-1, and those without a two-letter code that CLDR has translations for.
const LANGUAGES: &str = "\
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee \
    el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is \
    it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms \
    mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk \
    sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi \
    yo za zh zu ast brx ceb chr ckb dsb fil fur gsw haw hsb kea kok ksh lkt mai mni mfe nds nqo pap pcm sah sat \
    scn sma smj smn sms szl yue zgh";

/// The scripts of ISO 15924 that these languages are written in today.
const SCRIPTS: &str = "\
    Adlm Arab Armn Beng Bopo Cans Cher Cyrl Deva Ethi Geor Grek Gujr Guru Hang Hans Hant Hebr Jpan Khmr Knda \
    Kore Laoo Latn Mlym Mong Mtei Mymr Nkoo Olck Orya Sinh Taml Telu Tfng Thaa Thai Tibt Vaii Yiii";

/// The regions of ISO 3166-1.
const REGIONS: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK \
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR \
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK \
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF \
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// A language, optionally with script and region: `en`, `pt-BR`, `zh-Hant-TW`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(value_type = String, example = "pt-BR"))]
pub struct Locale(String);

/// English.
impl Default for Locale {
    fn default() -> Self {
        Self("en".to_owned())
    }
}

impl FromStr for Locale {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let mut parts = text.split('-').peekable();
        let is_in = |codes: &str, part: &str| codes.split(' ').any(|code| code == part);
        let is_language = parts.next().is_some_and(|language| is_in(LANGUAGES, language));
        _ = parts.next_if(|script| is_in(SCRIPTS, script));
        _ = parts.next_if(|region| is_in(REGIONS, region));
        match is_language && parts.next().is_none() {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidText("must be the tag of a known language such as en or pt-BR".to_owned())),
        }
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From an event: what was known when it was recorded stays valid.
impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// A locale in a request: its language, script and region must be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLocale(pub Locale);

impl<'de> Deserialize<'de> for KnownLocale {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_names_a_known_language_script_and_region() {
        for good in ["en", "pt-BR", "zh-Hant-TW", "sr-Latn", "fil", "yue-Hant-HK"] {
            assert_eq!(good.parse::<Locale>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "e",
            "EN",
            "en_US",
            "en-us",
            "en-",
            "en-US-en",
            "en-US-Latn",
            "xx",
            "xx-BR",
            "en-XX",
            "en-Xxxx",
            "und",
            "zz",
            "en-US-US",
            "en en",
        ] {
            assert!(bad.parse::<Locale>().is_err(), "{bad}");
            assert!(serde_json::from_value::<KnownLocale>(bad.into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_recorded_locale_is_read_as_it_is() {
        assert_eq!(serde_json::from_str::<Locale>("\"xx\"").unwrap().to_string(), "xx");
    }
}
