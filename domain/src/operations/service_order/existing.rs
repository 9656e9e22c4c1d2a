//! How an existing service order handles commands and events.

use jiff::Timestamp;

use super::{
    ANSWERABLE, Answer, AnsweredBy, Command, Content, Event, NewServiceOrder, PortCallId, Rejection, Remark, Status,
    VendorId,
};

/// A service order that was created.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub(super) port_call: PortCallId,
    pub(super) content: Content,
    pub(super) status: Status,
    /// The last request: to which vendor, its number, and until when it can be answered.
    pub(super) request: Option<(VendorId, u64, Timestamp)>,
}

impl Existing {
    pub(super) fn new(port_call: PortCallId, content: Content) -> Self {
        Self { port_call, content, status: Status::Draft, request: None }
    }

    pub(super) fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let open = || if self.status.is_final() { Err(Rejection::Finished(self.status)) } else { Ok(()) };
        match command {
            Command::Create(new) => {
                if self.is_same(new) {
                    Ok(vec![])
                } else {
                    Err(Rejection::Exists)
                }
            }
            Command::Amend { .. } => self.amend(command),
            Command::Assign { vendor, now } => {
                open()?;
                match (self.status, self.request) {
                    (Status::InProgress, _) => Err(Rejection::InProgress),
                    (Status::Assigned | Status::Accepted, Some((current, _, _))) if current == *vendor => Ok(vec![]),
                    (_, _) => Ok(vec![self.ask(*vendor, &self.content, *now)]),
                }
            }
            Command::AskAgain { request, now } => {
                open()?;
                let (vendor, number, _) = self.request.ok_or(Rejection::NotAssigned)?;
                if self.status == Status::InProgress {
                    return Err(Rejection::InProgress);
                }
                Ok(if *request <= number { vec![] } else { vec![self.ask(vendor, &self.content, *now)] })
            }
            Command::Answer { answer, by, remark } => self.answer(*answer, *by, remark.as_ref()),
            Command::Start => match self.status {
                Status::InProgress => Ok(vec![]),
                Status::Accepted => Ok(vec![Event::Started {}]),
                Status::Draft | Status::Assigned | Status::Declined => Err(Rejection::NotNow(self.status)),
                Status::Completed | Status::Canceled => Err(Rejection::Finished(self.status)),
            },
            Command::Cancel { .. } if self.status == Status::Canceled => Ok(vec![]),
            Command::Cancel { remark, with_port_call } => {
                open()?;
                let remark = remark.as_ref().map(|remark| remark.as_str().to_owned());
                Ok(vec![Event::Canceled { from: Some(self.status), remark, with_port_call: *with_port_call }])
            }
        }
    }

    /// The request to a vendor, which can be answered for a while after the requested time.
    fn ask(&self, vendor: VendorId, content: &Content, now: Timestamp) -> Event {
        let request = self.request.map_or(0, |(_, number, _)| number) + 1;
        let from = self.request.map(|(former, _, _)| former).filter(|former| *former != vendor);
        Event::Assigned { vendor, from, request, expires_at: content.requested_at.max(now) + ANSWERABLE }
    }

    fn amend(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        let Command::Amend { service, details, requested_at, price, now } = command else { return Ok(vec![]) };
        let from = self.content.clone();
        let to = Content {
            service: service.unwrap_or(from.service),
            details: details.as_ref().map_or_else(|| from.details.clone(), |details| details.as_str().to_owned()),
            requested_at: requested_at.unwrap_or(from.requested_at),
            price: price.clone().unwrap_or_else(|| from.price.clone()),
        };
        if from == to {
            return Ok(vec![]);
        }
        let again = match (self.status, self.request) {
            (Status::Completed | Status::Canceled, _) => return Err(Rejection::Finished(self.status)),
            // They know of something else, or have agreed to it: the link that they have is void.
            (Status::Assigned | Status::Accepted | Status::InProgress, Some((vendor, _, _))) => {
                Some(self.ask(vendor, &to, *now))
            }
            (Status::Draft | Status::Assigned | Status::Declined | Status::Accepted | Status::InProgress, _) => None,
        };
        Ok([Event::Amended { from, to }].into_iter().chain(again).collect())
    }

    fn answer(&self, answer: Answer, by: AnsweredBy, remark: Option<&Remark>) -> Result<Vec<Event>, Rejection> {
        let (from, remark) = (Some(self.status), remark.map(|remark| remark.as_str().to_owned()));
        let event = match (answer, self.status) {
            (_, Status::Draft) => return Err(Rejection::NotAssigned),
            (Answer::Accepted, Status::Accepted)
            | (Answer::Declined, Status::Declined)
            | (Answer::Completed, Status::Completed) => return Ok(vec![]),
            (_, Status::Completed | Status::Canceled) => return Err(Rejection::Finished(self.status)),
            (Answer::Accepted, Status::Assigned) => Event::Accepted { by, from, remark },
            (Answer::Declined, Status::Assigned) => Event::Declined { by, from, remark },
            // What was declined or accepted by mistake is settled by asking, and a user hears of it anyway.
            (Answer::Accepted, Status::Declined) if by == AnsweredBy::User => Event::Accepted { by, from, remark },
            (Answer::Declined, Status::Accepted) if by == AnsweredBy::User => Event::Declined { by, from, remark },
            (Answer::Completed, Status::Accepted | Status::InProgress) => Event::Completed { by, from, remark },
            (_, Status::Assigned | Status::Accepted | Status::Declined | Status::InProgress) => {
                return Err(Rejection::NotNow(self.status));
            }
        };
        Ok(vec![event])
    }

    /// Whether it is as it would be created.
    fn is_same(&self, new: &NewServiceOrder) -> bool {
        let NewServiceOrder { port_call, service, details, requested_at, price } = new;
        let Content { service: own, details: text, requested_at: at, price: agreed } = &self.content;
        (self.port_call, own, text.as_str(), at, agreed) == (*port_call, service, details.as_str(), requested_at, price)
    }

    pub(super) fn evolve(&mut self, event: &Event) {
        match event {
            Event::Created { .. } => {}
            Event::Amended { to, .. } => self.content.clone_from(to),
            Event::Assigned { vendor, request, expires_at, .. } => {
                (self.status, self.request) = (Status::Assigned, Some((*vendor, *request, *expires_at)));
            }
            Event::Accepted { .. } => self.status = Status::Accepted,
            Event::Declined { .. } => self.status = Status::Declined,
            Event::Started {} => self.status = Status::InProgress,
            Event::Completed { .. } => self.status = Status::Completed,
            Event::Canceled { .. } => self.status = Status::Canceled,
        }
    }
}
