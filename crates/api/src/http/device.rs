//! Device names from user agents.

use woothee::{parser::Parser, woothee::VALUE_UNKNOWN};

/// A readable name such as `Firefox 128 on Linux`; for a program that is not a browser, its name and version, such as
/// `curl 8.5.0`.
pub(crate) fn device(user_agent: &str) -> Option<String> {
    let known = |text: &str| (text != VALUE_UNKNOWN && !text.is_empty()).then(|| text.to_owned());
    let browser = Parser::new().parse(user_agent).filter(|parsed| !matches!(parsed.category, "misc" | VALUE_UNKNOWN));
    let Some(browser) = browser else {
        let program = user_agent.split_whitespace().next()?;
        return Some(program.replacen('/', " ", 1));
    };
    let version = known(browser.version).and_then(|version| version.split('.').next().map(str::to_owned));
    let system = known(browser.os).map(|os| format!("on {os}"));
    Some([known(browser.name), version, system].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_in_words() {
        for (agent, told) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128 on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Safari/537.36",
                "Chrome 126 on Windows 10",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari 17 on iPhone",
            ),
            ("curl/8.5.0", "curl 8.5.0"),
            ("Kettle", "Kettle"),
        ] {
            assert_eq!(device(agent).as_deref(), Some(told));
        }
        assert_eq!(device(""), None);
        assert_eq!(device("   "), None);
    }
}
