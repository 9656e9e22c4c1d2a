//! Appends whose traces tell whether they were recorded once and whole.

use porttask_runtime::log::{
    Append, Appended, EventId, EventLog, Offset, OrganizationId, PartitionId, Placed, Position, RecordedEvent, Version,
};
use std::collections::{HashMap, HashSet};

use crate::{History, claim, count, event, holder_of, idempotency_key, platform_stream, simple, stream, value_of};

/// How many streams all workers share.
const SHARED_STREAMS: usize = 8;

/// Work on one organization: every key stands for one append, of one of five shapes, under a `IdempotencyKey`. Each event's data
/// say which append it belongs to, which of its events it is, and how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// On whose streams, besides the platform's.
    pub organization: OrganizationId,
}

/// An append that was acknowledged, with the identities of its events. It is also a line of text between processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Which append.
    pub key: String,
    /// Whether the log said that it was recorded before.
    pub repeated: bool,
    /// Where each event stands, and its version and id; empty for a repetition.
    pub events: Vec<(Placed, EventId)>,
}

impl Work {
    /// The append of a key, with new event ids each time, as a caller who repeats a request would make it.
    pub fn append(&self, key: &str) -> Append {
        let Self { organization } = *self;
        let platform = OrganizationId::PLATFORM;
        let shared = format!("shared-{}", hash(key) / 5 % SHARED_STREAMS);
        let own = stream(organization, format!("own-{key}"));
        let shared_here = stream(organization, &shared);
        let shared_there = platform_stream(&shared);
        let streams = match shape(key) {
            0 => vec![&shared_here],
            1 => vec![&own, &shared_here, &own],
            2 => vec![&own, &shared_there],
            3 => vec![&own],
            _ => vec![&shared_there, &shared_here],
        };
        let total = streams.len();
        let data = |index| format!("{key} {index} {total}");
        let events = streams.into_iter().enumerate().map(|(index, stream)| event(stream, data(index))).collect();
        let append = Append::new(organization, events).idempotency_key(idempotency_key(key, key));
        match shape(key) {
            1 => append.expecting(own, Version::NONE),
            2 => append.constrained(claim(platform, key, key)).constrained(count(
                platform,
                "worked",
                1,
                None,
                Some(1 << 40),
            )),
            3 => append.constrained(claim(organization, key, key)).constrained(count(
                organization,
                "worked",
                1,
                None,
                None,
            )),
            _ => append,
        }
    }

    /// What is wrong with the traces of this work: an acknowledged append that is not where it was said to be, one that
    /// is recorded in part or more than once. Keys in `settled` must be recorded.
    pub fn faults(
        &self,
        history: &History,
        acknowledged: &[Acknowledged],
        settled: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        let recorded = traces(history);
        let places: HashMap<EventId, &RecordedEvent> = history.events().map(|event| (event.id, event)).collect();
        let mut faults = Vec::new();
        for (key, indexes) in &recorded {
            let expected = self.append(key).events.len();
            if *indexes != (0..expected).collect::<Vec<_>>() {
                faults.push(format!("{key} has {expected} events, recorded are {indexes:?}"));
            }
        }
        for acknowledged in acknowledged {
            let key = &acknowledged.key;
            for (placed, id) in &acknowledged.events {
                let found = places.get(id).map(|event| Placed { position: event.position, version: event.version });
                if found != Some(*placed) {
                    faults.push(format!("{key}: event {id} was acknowledged as {placed:?} and is {found:?}"));
                }
            }
        }
        let settled = settled.into_iter().chain(acknowledged.iter().map(|acknowledged| acknowledged.key.clone()));
        let lost: HashSet<String> = settled.filter(|key| !recorded.contains_key(key)).collect();
        faults.extend(lost.into_iter().map(|key| format!("{key} was acknowledged and is lost")));
        faults
    }

    /// # Panics
    /// When anything is wrong with the log, the traces of this work, its counts or its claims.
    pub async fn assert_done(
        &self,
        log: &dyn EventLog,
        acknowledged: &[Acknowledged],
        settled: impl IntoIterator<Item = String>,
    ) -> History {
        let history = History::of(log).await;
        history.assert_sound();
        let faults = self.faults(&history, acknowledged, settled);
        assert!(faults.is_empty(), "{} faults, first: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
        let recorded = traces(&history);
        for (of_shape, owner) in [(2, OrganizationId::PLATFORM), (3, self.organization)] {
            let keys: Vec<&String> = recorded.keys().filter(|key| shape(key) == of_shape).collect();
            let value = value_of(log, owner, "worked").await;
            assert_eq!(value, i64::try_from(keys.len()).unwrap(), "the count of {owner} is not that of its events");
            for key in keys.into_iter().take(20) {
                assert_eq!(holder_of(log, owner, key).await.as_deref(), Some(key.as_str()));
            }
        }
        let (streams, versions): (Vec<_>, Vec<_>) = history.versions().into_iter().unzip();
        assert_eq!(log.versions(&streams).await.unwrap(), versions);
        history
    }

    /// Founds the organization of some new work.
    pub async fn found(log: &dyn EventLog) -> Self {
        let organization = porttask_runtime::new_id::<OrganizationId>();
        log.append(simple(organization, "organization").creates_organization()).await.unwrap();
        Self { organization }
    }
}

impl Acknowledged {
    /// What was acknowledged for a key.
    pub fn new(key: &str, append: &Append, appended: &Appended) -> Self {
        let ids = append.events.iter().map(|event| event.id);
        let events = appended.events.iter().copied().zip(ids).collect();
        Self { key: key.to_owned(), repeated: appended.repeated, events }
    }

    /// `KEY repeated` or `KEY partition offset version event_id …`.
    pub fn line(&self) -> String {
        let place = |(placed, id): &(Placed, EventId)| {
            format!(" {} {} {} {id}", placed.position.partition, placed.position.offset, placed.version)
        };
        let events: String = self.events.iter().map(place).collect();
        format!("{}{}{events}", self.key, if self.repeated { " repeated" } else { "" })
    }

    /// Reads what [`line`](Self::line) wrote.
    ///
    /// # Panics
    /// When it is not such a line.
    pub fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let key = words.next().unwrap().to_owned();
        let words: Vec<&str> = words.collect();
        if words == ["repeated"] {
            return Self { key, repeated: true, events: Vec::new() };
        }
        let event = |words: &[&str]| {
            let position = Position {
                partition: PartitionId(words[0].parse().unwrap()),
                offset: Offset(words[1].parse().unwrap()),
            };
            (Placed { position, version: Version(words[2].parse().unwrap()) }, EventId(words[3].parse().unwrap()))
        };
        assert!(words.len().is_multiple_of(4), "a torn line: {line}");
        Self { key, repeated: false, events: words.chunks(4).map(event).collect() }
    }
}

/// Which of its events are recorded of each key, in ascending order.
fn traces(history: &History) -> HashMap<String, Vec<usize>> {
    let mut traces: HashMap<String, Vec<usize>> = HashMap::new();
    for event in history.events() {
        let text = std::str::from_utf8(&event.data).unwrap();
        if let [key, index, _] = text.split(' ').collect::<Vec<_>>()[..] {
            traces.entry(key.to_owned()).or_default().push(index.parse().unwrap());
        }
    }
    traces.values_mut().for_each(|indexes| indexes.sort_unstable());
    traces
}

fn hash(key: &str) -> usize {
    key.bytes().fold(7, |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte))) & 0xff_ffff
}

fn shape(key: &str) -> usize {
    hash(key) % 5
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use porttask_runtime::log::LeafHash;

    use super::*;

    /// A log that holds these keys, each once.
    fn recorded(work: Work, keys: &[&str]) -> (History, Vec<Acknowledged>) {
        let mut events = Vec::new();
        let mut acknowledged = Vec::new();
        for key in keys {
            let append = work.append(key);
            let mut placed = Vec::new();
            for new in &append.events {
                let position = Position { partition: PartitionId(0), offset: Offset(events.len() as u64 + 1) };
                placed.push((Placed { position, version: Version(1) }, new.id));
                events.push(RecordedEvent {
                    position,
                    id: new.id,
                    stream: new.stream.clone(),
                    version: Version(1),
                    event_type: new.event_type.clone(),
                    recorded_at: Timestamp::UNIX_EPOCH,
                    data: new.data.clone(),
                    meta: new.meta.clone(),
                    leaf_hash: LeafHash([0; 32]),
                });
            }
            acknowledged.push(Acknowledged { key: (*key).to_owned(), repeated: false, events: placed });
        }
        (History { partitions: vec![events] }, acknowledged)
    }

    fn work() -> Work {
        Work { organization: OrganizationId(uuid::Uuid::from_u128(7)) }
    }

    #[test]
    fn keys_have_all_shapes() {
        let shapes: HashSet<usize> = (0..100).map(|number| shape(&format!("run-1-{number}"))).collect();
        assert_eq!(shapes.len(), 5);
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let (_, acknowledged) = recorded(work(), &["a-1", "a-2", "a-3", "a-4", "a-5"]);
        let repeated = Acknowledged { key: "b".to_owned(), repeated: true, events: vec![] };
        for acknowledged in acknowledged.into_iter().chain([repeated]) {
            assert_eq!(Acknowledged::parse(&acknowledged.line()), acknowledged);
        }
    }

    #[test]
    fn planted_faults_in_the_work_are_found() {
        let several = (0..).map(|number| format!("a-{number}")).find(|key| shape(key) == 1).unwrap();
        let (history, acknowledged) = recorded(work(), &[&several, "b-2"]);
        let faults = |history: &History| work().faults(history, &acknowledged, []).join("\n");
        assert_eq!(faults(&history), "");

        let (mut twice, _) = recorded(work(), &[&several, "b-2", "b-2"]);
        twice.partitions[0][..history.partitions[0].len()].clone_from_slice(&history.partitions[0]);
        assert!(faults(&twice).contains("recorded are [0, 0"), "{}", faults(&twice));

        let mut torn = History { partitions: history.partitions.clone() };
        torn.partitions[0].remove(1);
        assert!(faults(&torn).contains("recorded are [0, 2]"), "{}", faults(&torn));

        let mut moved = History { partitions: history.partitions.clone() };
        moved.partitions[0][0].version = Version(9);
        assert!(faults(&moved).contains("was acknowledged as"), "{}", faults(&moved));

        let (empty, _) = recorded(work(), &[]);
        assert!(faults(&empty).contains("b-2 was acknowledged and is lost"));
        let unacknowledged = work().faults(&empty, &[], ["c-1".to_owned()]);
        assert_eq!(unacknowledged, ["c-1 was acknowledged and is lost"]);
    }
}
