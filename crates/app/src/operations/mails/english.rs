//! English.

use jiff::Timestamp;
use porttask_domain::operations::{service_order::Answer, vendor::Service};

use super::texts::{Message, Order};
use crate::mail::{
    language::Reader,
    letter::{Letter, Paragraph},
};

pub(super) fn letter(message: &Message<'_>, order: &Order<'_>, reader: &Reader<'_>) -> Letter {
    let (subject, paragraphs) = match message {
        Message::Request { address, expires_at } => request(address, *expires_at, order, reader),
        Message::Withdrawal { remark } => withdrawal(*remark, order, reader),
        Message::Answer { vendor, answer, remark, address } => {
            answered((vendor, *answer, *remark), address, order, reader)
        }
    };
    let greeting = Paragraph::Text(format!("Hello {},", reader.name));
    Letter { subject, paragraphs: std::iter::once(greeting).chain(paragraphs).collect() }
}

fn request(address: &str, expires_at: Timestamp, order: &Order<'_>, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let (organization, service) = (reader.organization, service(order.content.service));
    let token = address.split_once("#token=").map_or(address, |(_, token)| token);
    let mut paragraphs = vec![Paragraph::Text(format!("{organization} asks you for {service}."))];
    paragraphs.extend(facts(order, reader));
    paragraphs.extend([
        text("To accept or decline, open this link. Later you can report there that the service was provided:"),
        Paragraph::Link { label: "Answer", address: address.to_owned() },
        text("If the page that opens asks for a code, paste this line:"),
        Paragraph::Code(token.to_owned()),
        Paragraph::Text(format!("The link is valid until {}.", moment(expires_at, reader))),
        text("Whoever has the link can answer in your name: forward this email only to those who may."),
    ]);
    (format!("Order of {service} for {} at {}", order.vessel, order.port), paragraphs)
}

fn withdrawal(remark: Option<&str>, order: &Order<'_>, reader: &Reader<'_>) -> (String, Vec<Paragraph>) {
    let (organization, service) = (reader.organization, service(order.content.service));
    let mut paragraphs = vec![Paragraph::Text(format!(
        "{organization} has canceled its order of {service}. The link that you have is void."
    ))];
    paragraphs.extend(remark.map(|remark| Paragraph::Text(format!("Remark: {remark}"))));
    paragraphs.extend(facts(order, reader));
    (format!("Canceled: {service} for {} at {}", order.vessel, order.port), paragraphs)
}

fn answered(
    (vendor, answer, remark): (&str, Answer, Option<&str>),
    address: &str,
    order: &Order<'_>,
    reader: &Reader<'_>,
) -> (String, Vec<Paragraph>) {
    let service = service(order.content.service);
    let (word, sentence) = match answer {
        Answer::Accepted => ("accepted", format!("{vendor} has accepted your order of {service}.")),
        Answer::Declined => ("declined", format!("{vendor} has declined your order of {service}: ask another vendor.")),
        Answer::Completed => ("completed", format!("{vendor} reports that {service} was provided.")),
    };
    let mut paragraphs = vec![Paragraph::Text(sentence)];
    paragraphs.extend(remark.map(|remark| Paragraph::Text(format!("Remark: {remark}"))));
    paragraphs.extend(facts(order, reader));
    paragraphs.push(Paragraph::Link { label: "Open the port call", address: address.to_owned() });
    (format!("{vendor} has {word}: {service} for {} at {}", order.vessel, order.port), paragraphs)
}

/// What is ordered.
fn facts(order: &Order<'_>, reader: &Reader<'_>) -> Vec<Paragraph> {
    let Order { vessel, imo, port, schedule, content } = order;
    let mut lines = vec![
        format!("Vessel: {vessel} (IMO {imo})"),
        format!("Port: {port}"),
        format!("Expected: {} to {}", moment(schedule.eta, reader), moment(schedule.etd, reader)),
        format!("Needed: {}", moment(content.requested_at, reader)),
    ];
    lines.extend(order.price().map(|price| format!("Price: {price}")));
    vec![Paragraph::Text(lines.join("\n")), Paragraph::Text(content.details.clone())]
}

fn text(text: &str) -> Paragraph {
    Paragraph::Text(text.to_owned())
}

fn moment(instant: Timestamp, reader: &Reader<'_>) -> String {
    format!("{} ({})", reader.at(instant).strftime("%-d %B %Y at %H:%M"), reader.time_zone)
}

fn service(service: Service) -> &'static str {
    match service {
        Service::Towage => "towage",
        Service::Pilotage => "pilotage",
        Service::Mooring => "mooring",
        Service::Bunkering => "bunkering",
        Service::Supplies => "supplies",
        Service::Stevedoring => "stevedoring",
        Service::Repair => "repair",
        Service::Waste => "waste disposal",
        Service::Survey => "a survey",
        Service::Crew => "crew services",
        Service::Other => "a service",
    }
}

#[cfg(test)]
mod tests {
    use porttask_domain::operations::{port_call::Schedule, price::Price, service_order::Content};

    use super::*;

    #[test]
    fn a_request_says_what_is_needed_when_and_how_to_answer() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let content = Content {
            service: Service::Towage,
            details: "Two tugs\nfor berthing".to_owned(),
            requested_at: time("2026-12-03T11:30:00Z"),
            price: Some(Price::new("1250", "EUR").unwrap()),
        };
        let schedule = Schedule { eta: time("2026-12-03T11:30:00Z"), etd: time("2026-12-04T21:00:00Z") };
        let order = Order { vessel: "MSC Anna", imo: "9074729", port: "Santos", schedule, content: &content };
        let reader = Reader { name: "Svitzer", organization: "Acme", time_zone: "America/Sao_Paulo" };
        let address = "https://admin.example/vendor-response#token=BgAAAA";
        let message = Message::Request { address, expires_at: time("2027-01-02T11:30:00Z") };
        let letter = letter(&message, &order, &reader);
        assert_eq!(letter.subject, "Order of towage for MSC Anna at Santos");
        let expected = "Hello Svitzer,

Acme asks you for towage.

Vessel: MSC Anna (IMO 9074729)
Port: Santos
Expected: 3 December 2026 at 08:30 (America/Sao_Paulo) to 4 December 2026 at 18:00 (America/Sao_Paulo)
Needed: 3 December 2026 at 08:30 (America/Sao_Paulo)
Price: 1250.00 EUR

Two tugs
for berthing

To accept or decline, open this link. Later you can report there that the service was provided:

https://admin.example/vendor-response#token=BgAAAA

If the page that opens asks for a code, paste this line:

BgAAAA

The link is valid until 2 January 2027 at 08:30 (America/Sao_Paulo).

Whoever has the link can answer in your name: forward this email only to those who may.
";
        assert_eq!(letter.text(), expected);
    }
}
